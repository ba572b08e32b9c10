import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { Call } from "./call.js"
import { Stub, backend, linkTo } from "./testdata/stub.mjs"

const HOST_URL = "https://api.openai.com/v1/responses"
const DONE = 'event: response.completed\ndata: {"type":"response.completed"}\n\n'
const STREAM = 'event: response.created\ndata: {"n":1}\n\nevent: delta\ndata: {"n":2}\n\n' + DONE
const deliver = () => ({ verdict: "deliver" })
const prepared = (url, more = {}) => ({ call: 1, url, headers: [["authorization", "Bearer access"]], edits: [], collapse: false, ...more })
const fetchBy = (link) => (url, init) => new Call(link, url, init).run()
const post = (body, more = {}) => ({ method: "POST", headers: { Authorization: "Bearer codex-rota", "session-id": "ses_1", skipped: undefined }, body, ...more })
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** A stub, a link and a backend that belong together; methods are given the backend's URL. */
async function rig(t, { answer, methods = () => ({}) }) {
  const upstream = await backend(t, answer ?? ((request, response) => response.end(STREAM)))
  const stub = await Stub.start(t, { "request/prepare": () => prepared(upstream.url), "request/response": deliver, ...methods(upstream.url) })
  const link = linkTo(t)
  return { upstream, stub, link, send: fetchBy(link) }
}

test("a call goes out as prepared, comes back untouched, and is done with its last event", async (t) => {
  const { upstream, stub, send } = await rig(t, {
    answer: (request, response) => response.writeHead(200, { "x-kept": "yes" }).end(STREAM),
    methods: (url) => ({ "request/prepare": () => prepared(url, { edits: [[1, 0, '"store":false,'], [9, 4, "größer"]] }) }),
  })
  const answer = await send(HOST_URL, post('{"a":"ü","b":1}'))
  assert.equal(answer.headers.get("x-kept"), "yes")
  assert.equal(await answer.text(), STREAM)
  const [sent] = upstream.received
  assert.equal(sent.method, "POST")
  assert.equal(sent.headers.authorization, "Bearer access")
  assert.equal(sent.headers["session-id"], undefined, "only the headers that were prepared are sent")
  assert.equal(sent.body.toString(), '{"store":false,"a":"ü"größer:1}', "offsets are bytes, not characters")
  const prepare = stub.of("request/prepare")[0]
  assert.deepEqual(prepare.params, { call: 1, url: HOST_URL, method: "POST", headers: [["authorization", "Bearer codex-rota"], ["session-id", "ses_1"]] })
  assert.equal(prepare.attachment.toString(), '{"a":"ü","b":1}')
  const response = stub.of("request/response")[0]
  assert.equal(response.params.status, 200)
  assert.equal(response.params.attempt, 1)
  assert.equal(response.params.offset, 0)
  assert.ok(response.params.elapsedMs > 0)
  assert.deepEqual(response.params.headers.filter(([name]) => name === "x-kept"), [["x-kept", "yes"]])
  const done = await stub.until("request/done")
  assert.equal(done.params.end, "completed")
  assert.equal(done.params.call, 1)
  assert.ok(done.params.durationMs > 0)
  assert.equal(done.attachment.toString(), DONE)
})

const BODY = '{"input":"grüße"}'
for (const [name, input, init] of [
  ["a string", HOST_URL, post(BODY)],
  ["bytes and a URL object", new URL(HOST_URL), post(new Uint8Array(Buffer.from(BODY)))],
  ["a part of a larger buffer", HOST_URL, post(Buffer.from(`xx${BODY}yy`).subarray(2, -2))],
  ["an ArrayBuffer", HOST_URL, post(new TextEncoder().encode(BODY).buffer)],
  ["a stream", HOST_URL, post(new Blob([BODY]).stream(), { duplex: "half" })],
  ["a Request", new Request(HOST_URL, { method: "POST", body: BODY, headers: { "session-id": "ses_1", authorization: "Bearer codex-rota" } }), undefined],
])
  test(`the body as ${name}`, async (t) => {
    const { upstream, stub, send } = await rig(t, {})
    await (await send(input, init)).text()
    assert.equal(upstream.received[0].body.toString(), BODY)
    const { params, attachment } = stub.of("request/prepare")[0]
    assert.equal(attachment.toString(), BODY)
    assert.equal(params.url, HOST_URL)
    assert.equal(params.method, "POST")
    assert.deepEqual(params.headers.filter(([key]) => key === "session-id"), [["session-id", "ses_1"]])
  })

test("an undecided stream is sent on chunk by chunk, each byte once, and delivered whole", async (t) => {
  const gates = [0, 1].map(() => resolvers())
  const parts = ["event: a\n", "data: 1\n\n", DONE]
  const { stub, send } = await rig(t, {
    answer: async (request, response) => {
      response.write(parts[0])
      await gates[0].promise
      response.write(parts[1])
      await gates[1].promise
      response.end(parts[2])
    },
    methods: () => ({
      "request/response": ({ offset }) => {
        gates[offset === 0 ? 0 : 1].resolve()
        return { verdict: offset < parts[0].length + parts[1].length ? "more" : "deliver" }
      },
    }),
  })
  assert.equal(await (await send(HOST_URL, post("{}"))).text(), parts.join(""))
  const asked = stub.of("request/response")
  assert.deepEqual(asked.map(({ params, attachment }) => [params.offset, attachment.toString()]), [[0, parts[0]], [9, parts[1]], [18, parts[2]]])
})

test("the body is kept for another try, and let go when the answer is delivered", async (t) => {
  const gate = resolvers()
  const bodies = []
  const { upstream, link } = await rig(t, {
    answer: async (request, response) => {
      response.write(STREAM)
      await gate.promise
      response.end()
    },
    methods: (url) => ({
      "request/response": ({ attempt }) => {
        bodies.push(call.body?.toString())
        return attempt === 1 ? { verdict: "retry", request: prepared(url) } : { verdict: "deliver" }
      },
    }),
  })
  const call = new Call(link, HOST_URL, post(BODY))
  const answer = await call.run()
  assert.deepEqual(bodies, [BODY, BODY])
  assert.deepEqual([call.body, call.init, call.input, call.request], [undefined, undefined, undefined, undefined])
  gate.resolve()
  assert.equal(await answer.text(), STREAM)
  assert.deepEqual(upstream.received.map(({ body }) => body.toString()), [BODY, BODY])
})

test("a stream that ends or passes 1 MiB undecided is delivered", async (t) => {
  for (const size of [0, 10, 3 << 20]) {
    const { stub, send } = await rig(t, {
      answer: (request, response) => response.end(Buffer.alloc(size, "x")),
      methods: () => ({ "request/response": () => ({ verdict: "more" }) }),
    })
    assert.equal((await (await send(HOST_URL, post("{}"))).arrayBuffer()).byteLength, size)
    const shown = stub.of("request/response").reduce((sum, { attachment }) => sum + attachment.length, 0)
    assert.ok(shown <= (1 << 20) + (1 << 17), `${shown} bytes were shown`)
    assert.equal((await stub.until("request/done")).params.end, "completed")
  }
})

test("headers that would harm the host are dropped", async (t) => {
  const { send } = await rig(t, {
    answer: (request, response) => response.writeHead(429, { "Retry-After": "432000", "x-kept": "1" }).end("{}"),
    methods: () => ({ "request/response": () => ({ verdict: "deliver", dropHeaders: ["retry-after"] }) }),
  })
  const answer = await send(HOST_URL, post("{}"))
  assert.equal(answer.status, 429)
  assert.equal(answer.headers.get("retry-after"), null)
  assert.equal(answer.headers.get("x-kept"), "1")
})

test("a retry is sent after its wait, with edits of the original body", async (t) => {
  const { upstream, stub, send } = await rig(t, {
    answer: (request, response, { headers }) => (headers.authorization === "Bearer access" ? response.writeHead(429).end('{"error":{}}') : response.end(STREAM)),
    methods: (url) => ({
      "request/prepare": () => prepared(url, { edits: [[0, 1, "FIRST"]] }),
      "request/response": ({ attempt }) =>
        attempt === 1
          ? { verdict: "retry", afterMs: 20, request: { ...prepared(`${url}?second`, { edits: [[1, 1, "SECOND"]] }), headers: [["authorization", "Bearer other"]] } }
          : { verdict: "deliver" },
    }),
  })
  assert.equal(await (await send(HOST_URL, post("abc"))).text(), STREAM)
  assert.deepEqual(upstream.received.map(({ body, path, headers }) => [String(body), path, headers.authorization]), [
    ["FIRSTbc", "/codex/responses", "Bearer access"],
    ["aSECONDc", "/codex/responses?second", "Bearer other"],
  ])
  assert.deepEqual(stub.of("request/response").map(({ params }) => [params.attempt, params.status]), [[1, 429], [2, 200]])
  assert.equal(stub.of("request/response")[0].attachment.toString(), '{"error":{}}')
  await stub.until("request/done")
  assert.equal(stub.of("request/done").length, 1)
})

test("a reply stands in for the answer", async (t) => {
  const { stub, send } = await rig(t, {
    answer: (request, response) => response.writeHead(500).end("upstream text"),
    methods: () => ({ "request/response": () => ({ verdict: "reply", response: { status: 403, headers: [["content-type", "application/json"]], body: '{"error":{"message":"no"}}' } }) }),
  })
  const answer = await send(HOST_URL, post("{}"))
  assert.equal(answer.status, 403)
  assert.equal(answer.headers.get("content-type"), "application/json")
  assert.equal(await answer.text(), '{"error":{"message":"no"}}')
  assert.equal((await stub.until("request/done")).params.end, "failed")
})

test("for a caller that did not stream the whole answer becomes one JSON", async (t) => {
  const { stub, send } = await rig(t, {
    methods: (url) => ({
      "request/prepare": () => prepared(url, { collapse: true }),
      "response/collapse": () => ({ response: { status: 200, headers: [["content-type", "application/json"]], body: '{"id":"resp_1"}' } }),
    }),
  })
  const answer = await send(HOST_URL, post("{}"))
  assert.deepEqual(await answer.json(), { id: "resp_1" })
  assert.equal(stub.of("response/collapse")[0].attachment.toString(), STREAM)
  const done = await stub.until("request/done")
  assert.deepEqual([done.params.end, done.attachment.toString()], ["completed", DONE])
})

test("an error is not collapsed", async (t) => {
  const { send } = await rig(t, {
    answer: (request, response) => response.writeHead(400).end('{"error":{"message":"bad"}}'),
    methods: (url) => ({ "request/prepare": () => prepared(url, { collapse: true }) }),
  })
  const answer = await send(HOST_URL, post("{}"))
  assert.deepEqual([answer.status, await answer.json()], [400, { error: { message: "bad" } }])
})

test("what is no call of ours goes to the host's own fetch with just what it was given", async (t) => {
  const { stub, send } = await rig(t, { methods: () => ({ "request/prepare": () => ({ pass: true }) }) })
  const given = []
  t.mock.method(globalThis, "fetch", async (...args) => given.push(args) && new Response("theirs"))
  const form = new FormData()
  const init = post(form)
  assert.equal(await (await send("https://api.openai.com/v1/audio", init)).text(), "theirs")
  assert.equal(given[0][0], "https://api.openai.com/v1/audio")
  assert.equal(given[0][1], init)
  const request = new Request("https://api.openai.com/v1/files", { method: "POST", body: "text" })
  await send(request)
  assert.equal(given[1][0], request)
  assert.equal(await request.text(), "text", "its body was not used up")
  await send(HOST_URL, { method: "POST", body: new Blob(["once"]).stream(), duplex: "half" })
  assert.equal(given[2][1].body.toString(), "once")
  assert.equal(stub.of("request/done").length, 0)
})

test("a failure of the host's own fetch is the host's to see", async (t) => {
  const { send } = await rig(t, { methods: () => ({ "request/prepare": () => ({ pass: true }) }) })
  const failure = new TypeError("its own")
  t.mock.method(globalThis, "fetch", async () => Promise.reject(failure))
  await assert.rejects(send("https://api.openai.com/v1/models"), failure)
})

test("a refusal with a response becomes that response", async (t) => {
  const response = { status: 403, headers: [["content-type", "application/json"]], body: '{"error":{"message":"All accounts are limited until 14:05."}}' }
  const { stub, send, upstream } = await rig(t, { methods: () => ({ "request/prepare": () => ({ error: { code: -32005, message: "x", data: { code: "all_limited", response } } }) }) })
  const answer = await send(HOST_URL, post("{}"))
  assert.deepEqual([answer.status, await answer.text()], [403, response.body])
  assert.equal(upstream.received.length, 0)
  assert.equal((await stub.until("request/done")).params.end, "failed")
})

test("a refusal without one becomes an error that ends the turn", async (t) => {
  const { send } = await rig(t, { methods: () => ({ "request/prepare": () => ({ error: { code: -32602, message: "this went wrong" } }) }) })
  const answer = await send(HOST_URL, post("{}"))
  assert.equal(answer.status, 403)
  assert.equal(answer.headers.get("retry-after"), null)
  assert.deepEqual(await answer.json(), { error: { message: "this went wrong", type: "codex_rota", code: null } })
})

for (const [kind, error] of [
  ["dns", { cause: { code: "ENOTFOUND", message: "getaddrinfo ENOTFOUND chatgpt.com" } }],
  ["dns", { cause: { code: "EAI_AGAIN" } }],
  ["connect", { cause: { code: "ECONNREFUSED" } }],
  ["connect", { cause: { errors: [{ code: "ECONNREFUSED" }] } }],
  ["connect", { code: "ConnectionRefused", message: "Unable to connect. Is the computer able to access the url?" }],
  ["connect", { cause: { code: "UND_ERR_CONNECT_TIMEOUT" } }],
  ["tls", { cause: { code: "ERR_SSL_WRONG_VERSION_NUMBER" } }],
  ["tls", { cause: { code: "DEPTH_ZERO_SELF_SIGNED_CERT" } }],
  ["tls", { code: "UNKNOWN_CERTIFICATE_VERIFICATION_ERROR", message: "unknown certificate verification error" }],
  ["timeout", { cause: { code: "ETIMEDOUT" } }],
  ["reset", { cause: { code: "UND_ERR_SOCKET", message: "other side closed" } }],
  ["reset", { code: "ECONNRESET", message: "The socket connection was closed unexpectedly." }],
  ["reset", { message: "something new" }],
])
  test(`a failed connection is told by its kind and can be tried again: ${kind}, ${JSON.stringify(error)}`, async (t) => {
    const { stub, send } = await rig(t, {
      methods: (url) => ({
        "request/response": ({ transportError }) => (transportError ? { verdict: "retry", afterMs: 0, request: prepared(url) } : { verdict: "deliver" }),
      }),
    })
    t.mock.method(globalThis, "fetch", async () => Promise.reject(Object.assign(new TypeError(error.message ?? "fetch failed"), error)), { times: 1 })
    assert.equal(await (await send(HOST_URL, post("{}"))).text(), STREAM)
    const { params } = stub.of("request/response")[0]
    assert.equal(params.transportError.kind, kind)
    assert.equal(params.status, undefined)
  })

test("headers that do not come in time are a timeout", async (t) => {
  const { stub, send } = await rig(t, {
    answer: () => {},
    methods: (url) => ({ "request/prepare": () => prepared(url, { timeouts: { headersMs: 1, idleMs: 1 } }) }),
  })
  const answer = await send(HOST_URL, post("{}"))
  assert.equal(stub.of("request/response")[0].params.transportError.kind, "timeout")
  assert.equal(answer.status, 403)
  assert.equal((await answer.json()).error.message, "OpenAI could not be reached. Send your message once more.")
})

test("a stream cut before a verdict is a transport error, after it the host sees the cut", async (t) => {
  for (const decided of [false, true]) {
    const { stub, send } = await rig(t, {
      answer: (request, response) => {
        response.write("event: a\n\n")
        stub.until("request/response").then(() => settled()).then(() => response.destroy())
      },
      methods: () => ({
        "request/response": ({ transportError }) =>
          transportError ? { verdict: "reply", response: { status: 403, headers: [], body: "cut" } } : { verdict: decided ? "deliver" : "more" },
      }),
    })
    const answer = await send(HOST_URL, post("{}"))
    if (decided) await assert.rejects(answer.text())
    else assert.equal(await answer.text(), "cut")
    const done = await stub.until("request/done")
    assert.equal(done.params.end, "failed")
    assert.equal(stub.of("request/response").at(-1).params.transportError?.kind, decided ? undefined : "reset")
    if (decided) assert.equal(done.attachment.toString(), "event: a\n\n")
  }
})

test("silence in the middle of a stream ends it", async (t) => {
  const { stub, send } = await rig(t, {
    answer: (request, response) => response.write("event: a\n\n"),
    methods: (url) => ({ "request/prepare": () => prepared(url, { timeouts: { headersMs: 5000, idleMs: 200 } }) }),
  })
  const answer = await send(HOST_URL, post("{}"))
  await assert.rejects(answer.text(), /nothing came from OpenAI for too long/)
  assert.equal((await stub.until("request/done")).params.end, "failed")
})

test("a redirect is delivered, not followed", async (t) => {
  const { upstream, send } = await rig(t, { answer: (request, response) => response.writeHead(302, { location: "/elsewhere" }).end() })
  assert.equal((await send(HOST_URL, post("{}"))).status, 302)
  assert.equal(upstream.received.length, 1)
})

test("of a long error 64 KiB are judged and all is delivered", async (t) => {
  const { stub, send } = await rig(t, { answer: (request, response) => response.writeHead(503).end(Buffer.alloc(200_000, "e")) })
  const answer = await send(HOST_URL, post("{}"))
  assert.equal((await answer.text()).length, 200_000)
  assert.equal(stub.of("request/response").length, 1)
  assert.equal(stub.of("request/response")[0].attachment.length, 64 * 1024)
})

test("an error whose body drips is judged by what came in time", { timeout: 20_000 }, async (t) => {
  const { stub, send } = await rig(t, {
    answer: (request, response) => {
      const drops = setInterval(() => response.write("x"), 5)
      response.writeHead(503).on("close", () => clearInterval(drops))
    },
    methods: (url) => ({ "request/prepare": () => prepared(url, { timeouts: { headersMs: 100, idleMs: 60_000 } }) }),
  })
  const answer = await send(HOST_URL, post("{}"))
  assert.equal(answer.status, 503)
  const judged = stub.of("request/response")
  assert.deepEqual([judged.length, judged[0].params.status, judged[0].params.transportError], [1, 503, undefined])
  assert.match(judged[0].attachment.toString(), /^x{1,100}$/)
})

test("an error whose body breaks off is judged by what came", async (t) => {
  const { stub, send } = await rig(t, {
    answer: (request, response) => {
      response.writeHead(401, { "content-length": "1000" }).write("part")
      setImmediate(() => response.destroy())
    },
  })
  const answer = await send(HOST_URL, post("{}"))
  assert.deepEqual([answer.status, await answer.text()], [401, "part"])
  assert.equal(stub.of("request/response")[0].params.status, 401)
})

test("the person's abort is thrown as it is, wherever the call is", async (t) => {
  const stages = ["request/prepare", "request/response", "headers", "wait"]
  for (const stage of stages) {
    const abort = new AbortController()
    const never = () => undefined
    const { stub, send } = await rig(t, {
      answer: (request, response) => (stage === "headers" ? abort.abort() : response.end(STREAM)),
      methods: (url) => ({
        ...(stage === "wait" && { "request/response": () => setImmediate(() => abort.abort()) && { verdict: "retry", afterMs: 60_000, request: prepared(url) } }),
        ...(stage.startsWith("request/") && { [stage]: never }),
      }),
    })
    const call = send(HOST_URL, post("{}", { signal: abort.signal }))
    if (stage.startsWith("request/")) stub.until(stage).then(() => abort.abort())
    await assert.rejects(call, (error) => error === abort.signal.reason && error.name === "AbortError", stage)
    assert.equal((await stub.until("request/done")).params.end, "aborted")
    if (stage.startsWith("request/")) assert.equal((await stub.until("$/cancelRequest")).params.id, stub.of(stage)[0].id)
    assert.equal(stub.of("request/done").length, 1)
  }
})

test("an abort in the middle of a stream closes the connection to OpenAI", async (t) => {
  const abort = new AbortController()
  const closed = resolvers()
  const { stub, link, send } = await rig(t, {
    answer: (request, response) => {
      response.on("close", closed.resolve)
      response.write("event: a\n\n")
    },
    methods: () => ({ later: () => ({}) }),
  })
  const answer = await send(HOST_URL, post("{}", { signal: abort.signal }))
  const reader = answer.body.getReader()
  await reader.read()
  const next = reader.read()
  abort.abort()
  await assert.rejects(next, (error) => error === abort.signal.reason)
  await closed.promise
  const done = await stub.until("request/done")
  assert.deepEqual([done.params.end, done.attachment.toString()], ["aborted", "event: a\n\n"])
  await link.call("later", {})
  assert.equal(stub.of("request/done").length, 1)
})

test("an abort after the end means nothing", async (t) => {
  const abort = new AbortController()
  const { stub, link, send } = await rig(t, {})
  await (await send(HOST_URL, post("{}", { signal: abort.signal }))).text()
  abort.abort()
  await (await send(HOST_URL, post("{}"))).text()
  await stub.until("request/done", 2)
  assert.deepEqual(stub.of("request/done").map(({ params }) => params.end), ["completed", "completed"])
  assert.equal(stub.of("$/cancelRequest").length, 0)
  assert.equal(link.child.pending.size, 0)
})

test("a host that stops reading aborts the call", async (t) => {
  const closed = resolvers()
  const { stub, send } = await rig(t, {
    answer: (request, response) => {
      response.on("close", closed.resolve)
      response.write("event: a\n\n")
    },
  })
  const reader = (await send(HOST_URL, post("{}"))).body.getReader()
  await reader.read()
  await reader.cancel()
  await closed.promise
  assert.equal((await stub.until("request/done")).params.end, "aborted")
})

test("a host that reads slowly slows the backend down", async (t) => {
  let written = 0
  const { send } = await rig(t, {
    answer: async (request, response) => {
      for (let i = 0; i < 512 && response.write(Buffer.alloc(128 * 1024)); i++) written++
      response.on("drain", () => written++ < 512 && response.write(Buffer.alloc(128 * 1024)))
    },
  })
  const reader = (await send(HOST_URL, post("{}"))).body.getReader()
  await reader.read()
  for (let before = -1; before !== written; await new Promise((resolve) => setTimeout(resolve, 50))) before = written
  assert.ok(written < 256, `${written} of 512 pieces were taken in without a reader`)
  await reader.cancel()
})

for (const [name, events, want] of [
  ["a last event longer than the ring", ["event: a\n\n", `data: ${"x".repeat(300_000)}\n\n`], 1],
  ["many events before it", [...Array(5000).fill(`data: ${"y".repeat(100)}\n\n`), DONE], 5000],
  ["CRLF", ["event: a\r\n\r\n", "event: b\r\ndata: 1\r\n\r\n"], 1],
  ["no blank line at the end", ["event: a\n\n", "event: b\ndata: cut o"], 1],
  ["one event only", [DONE], 0],
  ["nothing but blank lines", ["\n\n\n\n"], 0],
])
  test(`the tail: ${name}`, async (t) => {
    const { stub, send } = await rig(t, { answer: (request, response) => response.end(events.join("")) })
    await (await send(HOST_URL, post("{}"))).text()
    assert.equal((await stub.until("request/done")).attachment.toString(), events[want])
  })

test("a tail is never over 1 MiB", async (t) => {
  const { stub, send } = await rig(t, { answer: (request, response) => response.end(`data: ${"x".repeat(3 << 20)}\n\n`) })
  await (await send(HOST_URL, post("{}"))).text()
  const { attachment } = await stub.until("request/done")
  assert.equal(attachment.length, 1 << 20)
  assert.ok(attachment.toString().endsWith("x\n\n"))
})

test("calls run side by side", async (t) => {
  const { stub, send } = await rig(t, { answer: (request, response, { body }) => response.end(body) })
  const bodies = Array.from({ length: 20 }, (_, i) => String(i).repeat(50_000))
  const answers = await Promise.all(bodies.map(async (body) => (await send(HOST_URL, post(body))).text()))
  assert.deepEqual(answers, bodies)
  await stub.until("request/done", 20)
  assert.equal(new Set(stub.of("request/done").map(({ params }) => params.call)).size, 20)
})

test("the shim's own words do not make OpenCode repeat a call", () => {
  const { patterns } = JSON.parse(readFileSync(new URL("../../testdata/opencode-retry-pattern.json", import.meta.url)))
  const repeats = new RegExp(patterns.join("|"), "i")
  assert.match("Rate limit reached", repeats)
  const texts = ["call.js", "wire.js", "opencode.js"].flatMap((name) => {
    const source = readFileSync(new URL(name, import.meta.url), "utf8").replace(/^\s*(\/\/|\/?\*).*$/gm, "")
    return source.match(/`[^`]*`|"[^"\n]*"|'[^'\n]*'/g).filter((text) => text.includes(" "))
  })
  assert.ok(texts.length > 20)
  for (const text of texts) assert.doesNotMatch(text, repeats)
})

test("the shim holds no policy: no header names, no status codes but one, no models", () => {
  for (const name of ["call.js", "wire.js", "opencode.js"]) {
    const source = readFileSync(new URL(name, import.meta.url), "utf8").replace(/^\s*(\/\/|\/?\*).*$/gm, "")
    assert.doesNotMatch(source, /authorization|bearer|retry-after|user-agent|originator|session-id|account-id|content-type|["'`]x-[a-z]/i, name)
    assert.doesNotMatch(source, /gpt-|codex-m|o[134]-|chatgpt\.com|api\.openai|\/responses|usage_limit/i, name)
    const codes = source.match(/\b[1-5]\d\d\b/g) ?? []
    assert.deepEqual(codes, name === "call.js" ? ["403"] : [], name)
  }
})

function resolvers() {
  const made = {}
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  return made
}
