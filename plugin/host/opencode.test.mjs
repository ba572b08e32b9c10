import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { pathToFileURL } from "node:url"
import { Call } from "./call.js"
import { CHILD, Stub, frame, linkTo } from "./testdata/stub.mjs"

const here = (name) => new URL(name, import.meta.url)
const { patterns } = JSON.parse(readFileSync(here("../../testdata/opencode-retry-pattern.json")))
const repeats = new RegExp(patterns.join("|"), "i")
const prepare = (link) => new Call(link, "https://api.openai.com/v1/responses", { method: "POST", body: "{}" }).run()
const refusal = { status: 403, headers: [], body: '{"error":{"message":"asked"}}' }
const refuse = () => ({ error: { code: -32003, message: "asked", data: { response: refusal } } })

/** What the person is shown. It must not look like something to repeat. */
async function shown(answer) {
  assert.equal(answer.status, 403)
  const { message } = (await answer.json()).error
  assert.doesNotMatch(message, repeats)
  return message
}

test("answers may come in any pieces and any order", async (t) => {
  const stub = await Stub.start(t, {
    a: () => stub.until("b").then(() => ({ text: "ä" })),
    b: (params, { id, socket }) => {
      const bytes = frame({ id, result: { text: "ö".repeat(5000) } })
      for (let at = 0; at < bytes.length; at += 997) socket.write(bytes.subarray(at, at + 997))
    },
  })
  const link = linkTo(t)
  assert.deepEqual(await Promise.all([link.call("a", {}), link.call("b", {})]), [{ text: "ä" }, { text: "ö".repeat(5000) }])
  assert.deepEqual(stub.of("initialize")[0].params, { protocol: 1, host: { name: "opencode" }, shim: "test", directory: process.cwd(), attachments: true })
})

test("a prepare whose child is gone is asked once more, of a new one", async (t) => {
  let asked = 0
  const stub = await Stub.start(t, { "request/prepare": (params, { socket }) => (++asked === 1 ? void socket.destroy() : refuse()) })
  assert.equal(await (await prepare(linkTo(t))).text(), refusal.body)
  assert.equal(stub.sockets.length, 2)
})

test("an answer whose child is gone is judged by the new one", async (t) => {
  const stub = await Stub.start(t, {
    "request/prepare": () => ({ url: "http://127.0.0.1/", headers: [] }),
    "request/response": (params, { socket }) => (stub.sockets.length === 1 ? void socket.destroy() : { verdict: "deliver" }),
  })
  t.mock.method(globalThis, "fetch", async () => new Response("in hand"))
  assert.equal(await (await prepare(linkTo(t))).text(), "in hand")
})

test("a child that keeps stopping is started 3 times a minute, and the person is told", async (t) => {
  const stub = await Stub.start(t, { "request/prepare": (params, { socket }) => void socket.destroy() })
  const link = linkTo(t)
  t.mock.timers.enable({ apis: ["Date"] })
  const message = await shown(await prepare(link))
  assert.match(message, /^codex-rota stopped \(exit code 0\)\. Send your message once more; .*--self-test/)
  assert.equal(stub.sockets.length, 2, "one prepare starts two")
  await Promise.all([1, 2, 3].map(async () => assert.equal(await shown(await prepare(link)), message)))
  assert.equal(stub.sockets.length, 3)
  t.mock.timers.tick(60_000)
  stub.methods["request/prepare"] = refuse
  assert.equal(await (await prepare(link)).text(), refusal.body)
  assert.equal(stub.sockets.length, 4)
  assert.ok(link.told.some(({ level, message }) => level === "error" && message.includes("[INFO] started")), "its last lines are in the log")
})

test("a missing binary is named, with what to do", async (t) => {
  const link = linkTo(t, "/opt/gone/codex-rota")
  const message = await shown(await prepare(link))
  assert.match(message, /^codex-rota is not at \/opt\/gone\/codex-rota any more\. Put it back there, or run "codex-rota install opencode"/)
})

test("a binary that cannot be run is named", async (t) => {
  const message = await shown(await prepare(linkTo(t, here("testdata").pathname)))
  assert.match(message, /^codex-rota at .*testdata could not be started \(EACCES\)\. Make that file executable/)
})

test("a child that speaks something else is named and ended", async (t) => {
  const message = await shown(await prepare(linkTo(t, "/bin/echo")))
  assert.match(message, /^(\/bin\/echo does not speak codex-rota's protocol|codex-rota stopped)/)
  await Stub.start(t, { initialize: (params, { socket }) => void socket.write("x".repeat(5000)) })
  assert.match(await shown(await prepare(linkTo(t, CHILD, "/x/codex-rota"))), /^\/x\/codex-rota does not speak codex-rota's protocol\. Run "codex-rota install opencode"/)
})

test("another protocol is refused by either side", async (t) => {
  const mine = { protocol: 2, version: "9.9.9" }
  for (const [initialize, want] of [
    [() => mine, 'codex-rota 9.9.9 speaks protocol 2, its OpenCode shim test speaks 1. Run "codex-rota install opencode" and start OpenCode again.'],
    [() => ({ error: { code: -32002, message: "You speak 1, I speak 2." } }), "You speak 1, I speak 2."],
  ]) {
    const stub = await Stub.start(t, { initialize })
    assert.equal(await shown(await prepare(linkTo(t))), want)
    assert.equal(stub.of("request/prepare").length, 0)
  }
})

test("another version is only noted", async (t) => {
  const stub = await Stub.start(t, { initialize: () => ({ protocol: 1, version: "newer" }), "request/prepare": refuse })
  const link = linkTo(t)
  await prepare(link)
  assert.equal(stub.sockets.length, 1)
  assert.ok(link.told.some(({ level, message }) => level === "warn" && message.startsWith("codex-rota is newer, its shim test.")))
})

test("toasts are shown in every instance", async (t) => {
  const stub = await Stub.start(t, { ask: () => stub.socket.write(frame({ method: "host/toast", params: { level: "warning", message: "moved on" } })) && {} })
  const link = linkTo(t)
  await link.call("ask", {})
  assert.deepEqual(link.told.filter(({ variant }) => variant), [{ message: "moved on", variant: "warning" }])
})

test("an idle child does not keep the host alive, and ends with it", async (t) => {
  const stub = await Stub.start(t, { ask: () => ({}) })
  const script = `import { Link } from ${JSON.stringify(here("wire.js").href)}
    const link = new Link({ path: ${JSON.stringify(CHILD)}, shown: "", shim: "test" })
    await link.call("ask", {})`
  const host = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit", timeout: 20_000 })
  await stub.until("ask")
  const closed = once(stub.sockets[0], "close")
  assert.deepEqual(await once(host, "exit"), [0, null])
  await closed
})

/** The installed shim in a folder of its own, as OpenCode would load it; zod: whether the host's resolves there. */
async function installed(t, { zod = true, auth } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "codex-rota-"))
  const before = process.env.XDG_DATA_HOME
  t.after(() => {
    rmSync(dir, { recursive: true })
    if (before === undefined) delete process.env.XDG_DATA_HOME
    else process.env.XDG_DATA_HOME = before
  })
  process.env.XDG_DATA_HOME = dir
  mkdirSync(join(dir, "opencode"))
  if (auth !== undefined) writeFileSync(join(dir, "opencode", "auth.json"), auth)
  for (const name of ["wire.js", "call.js"]) cpSync(here(name), join(dir, name))
  const filled = readFileSync(here("opencode.js"), "utf8")
    .replace('"__CODEX_ROTA_BINARY__"', JSON.stringify(CHILD))
    .replace('"__CODEX_ROTA_BINARY_SHOWN__"', JSON.stringify(CHILD))
    .replace("__CODEX_ROTA_VERSION__", "test")
  writeFileSync(join(dir, "opencode.js"), filled)
  writeFileSync(join(dir, "package.json"), '{"type":"module"}')
  if (zod) {
    const fake = join(dir, "node_modules", "@opencode-ai", "plugin")
    mkdirSync(fake, { recursive: true })
    writeFileSync(join(fake, "package.json"), '{"type":"module","exports":"./index.js"}')
    writeFileSync(join(fake, "index.js"), 'const any = new Proxy(() => any, { get: (_, key) => (key === "then" ? undefined : any) })\nexport const tool = { schema: any }')
  }
  delete globalThis[Symbol.for("codex-rota.opencode")]
  const plugin = (await import(pathToFileURL(join(dir, "opencode.js")).href)).default
  t.after(() => globalThis[Symbol.for("codex-rota.opencode")].child?.retire())
  return plugin
}

function client() {
  const told = []
  const never = new Promise(() => {}) // what these give is not to be awaited in server()
  return {
    told,
    auth: { set: async (options) => void told.push({ set: options }) },
    app: { log: async ({ body }) => void told.push(body) },
    tui: { showToast: () => never },
    config: { get: () => never },
    session: { list: () => never },
  }
}

const oauth = '{"openai":{"type":"oauth","refresh":"codex-rota","access":"codex-rota","expires":253402300799000}}'

test("the plugin has an id, and a server that gives the hooks", async (t) => {
  const plugin = await installed(t, { auth: oauth })
  assert.equal(plugin.id, "codex-rota")
  const hooks = await plugin.server({ client: client(), directory: "/p" })
  assert.deepEqual(Object.keys(hooks).sort(), ["auth", "dispose", "tool"])
  assert.equal(hooks.auth.provider, "openai")
  assert.deepEqual(hooks.auth.methods.map(({ type }) => type), ["oauth", "oauth", "oauth", "api"])
  assert.equal(hooks.auth.methods[3].label, "Manually enter API Key")
  assert.deepEqual(Object.keys(hooks.tool), ["codex-list", "codex-status", "codex-doctor", "codex-explain", "codex-switch", "codex-limits", "codex-label"])
})

test("one child serves all instances, and goes with the last", async (t) => {
  const stub = await Stub.start(t, { "request/prepare": refuse })
  const plugin = await installed(t, { auth: oauth })
  const hooks = [await plugin.server({ client: client(), directory: "/p" }), await plugin.server({ client: client(), directory: "/q" })]
  for (const { auth } of hooks) {
    const { apiKey, fetch } = await auth.loader(async () => JSON.parse(oauth).openai)
    assert.equal(apiKey, "codex-rota")
    assert.equal(await (await fetch("https://api.openai.com/v1/responses", { method: "POST", body: "{}" })).text(), refusal.body)
  }
  assert.equal(stub.sockets.length, 1)
  await hooks[0].dispose()
  const closed = once(stub.sockets[0], "close")
  await hooks[1].dispose()
  await closed
  assert.equal(stub.of("initialize")[0].params.directory, "/p")
})

test("an API key of the person's own is left alone", async (t) => {
  const stub = await Stub.start(t)
  const plugin = await installed(t, { auth: '{"openai":{"type":"api","key":"sk-x"}}' })
  const told = client()
  const { auth } = await plugin.server({ client: told, directory: "/p" })
  assert.deepEqual(await auth.loader(async () => ({ type: "api", key: "sk-x" })), {})
  assert.equal(stub.sockets.length, 0)
  assert.equal(told.told.filter(({ set }) => set).length, 0)
})

for (const [name, auth, sets] of [
  ["no auth.json", undefined, true],
  ["no entry in it", '{"anthropic":{"type":"api","key":"k"}}', true],
  ["an entry", oauth, false],
  ["an auth.json that does not parse", "{", false],
])
  test(`the entry that makes OpenCode ask the loader: ${name}`, async (t) => {
    const told = client()
    await (await installed(t, { auth })).server({ client: told, directory: "/p" })
    const set = told.told.filter((entry) => entry.set).map((entry) => entry.set)
    assert.deepEqual(set, sets ? [{ path: { id: "openai" }, body: { type: "oauth", refresh: "codex-rota", access: "codex-rota", expires: 253402300799000 } }] : [])
  })

test("nothing that fails in the start is thrown", async (t) => {
  const told = client()
  told.auth.set = async () => Promise.reject(new Error("no"))
  told.app.log = async () => Promise.reject(new Error("no log"))
  const { auth, tool } = await (await installed(t, { zod: false })).server({ client: told, directory: "/p" })
  assert.deepEqual(Object.keys(tool), ["codex-list", "codex-status", "codex-doctor"], "without zod no tool takes arguments")
  const loaded = await auth.loader(async () => Promise.reject(new Error("unreadable")))
  assert.equal(typeof loaded.fetch, "function", "it fails closed")
})

test("tools print what the command prints", async (t) => {
  const stub = await Stub.start(t, { "tool/run": ({ name, args }) => ({ text: `${name} ${JSON.stringify(args)}` }) })
  const { tool } = await (await installed(t, { auth: oauth })).server({ client: client(), directory: "/p" })
  assert.equal(await tool["codex-list"].execute({}), "codex-list {}")
  assert.equal(await tool["codex-explain"].execute({ model: "m" }), 'codex-explain {"model":"m"}')
  stub.methods["tool/run"] = () => ({ error: { code: -32007, message: "the accounts file cannot be read" } })
  await assert.rejects(tool["codex-status"].execute({}), /the accounts file cannot be read/)
})

test("a login is led by codex-rota and gives OpenCode the sentinel", async (t) => {
  const started = []
  const stub = await Stub.start(t, {
    "login/start": ({ method }) => started.push(method) && { login: "l1", method, url: "https://auth.example/", instructions: "Open it." },
    "login/wait": () => ({ account: {} }),
    "login/paste": () => ({ account: {} }),
  })
  const { auth } = await (await installed(t, { auth: oauth })).server({ client: client(), directory: "/p" })
  const success = { ...JSON.parse(oauth).openai, type: "success" }
  for (const [i, method] of ["browser", "device", "paste"].entries()) {
    const { callback, ...rest } = await auth.methods[i].authorize({})
    assert.deepEqual(rest, { url: "https://auth.example/", instructions: "Open it.", method: method === "paste" ? "code" : "auto" })
    assert.deepEqual(await callback("pasted"), success)
  }
  assert.deepEqual(started, ["browser", "device", "paste"])
  assert.deepEqual(stub.of("login/paste")[0].params, { login: "l1", text: "pasted" })
  stub.methods["login/wait"] = () => ({ error: { code: -32003, message: "denied" } })
  assert.deepEqual(await (await auth.methods[0].authorize({})).callback(), { type: "failed" })
})

test("a login by browser goes on with paste where codex-rota says so", async (t) => {
  const stub = await Stub.start(t, {
    "login/start": () => ({ login: "l1", method: "paste", url: "https://auth.example/", instructions: "Port 1455 is taken." }),
    "login/paste": () => ({ account: {} }),
  })
  const { auth } = await (await installed(t, { auth: oauth })).server({ client: client(), directory: "/p" })
  const { method, callback } = await auth.methods[0].authorize({})
  assert.equal(method, "code")
  assert.equal((await callback("pasted")).type, "success")
  assert.deepEqual(stub.of("login/paste")[0].params, { login: "l1", text: "pasted" })
})

test("where there is no login yet, the command is named", async (t) => {
  const stub = await Stub.start(t)
  const { auth } = await (await installed(t, { auth: oauth })).server({ client: client(), directory: "/p" })
  const { instructions, method, callback } = await auth.methods[0].authorize({})
  assert.equal(instructions, 'This login cannot be done from here. Run "codex-rota add" in a terminal.')
  stub.methods["login/start"] = () => ({ error: { code: -32003, message: "port 1455 is taken" } })
  assert.match((await auth.methods[0].authorize({})).instructions, /\(port 1455 is taken\)/)
  assert.equal(method, "auto")
  assert.deepEqual(await callback(), { type: "failed" })
})

test("the shim is plain JavaScript that a newcomer's node can check", () => {
  for (const name of ["opencode.js", "wire.js", "call.js"]) execFileSync(process.execPath, ["--check", here(name).pathname])
})
