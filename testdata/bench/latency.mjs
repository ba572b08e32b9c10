// What a plugin adds in the host's own process: from the host's fetch being
// entered to the upstream request being sent, which is the moment the plugin calls
// the runtime's own fetch. Run by `make bench` in OpenCode's runtime and in Node:
//   BUN_BE_BUN=1 opencode latency.mjs PLAN    node latency.mjs PLAN
// PLAN is a JSON file (plugin/cli/benchhost_test.go), which names the one for the samples.
import { readFileSync, writeFileSync } from "node:fs"
import { pathToFileURL } from "node:url"

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"))
const native = globalThis.fetch
let sentAt = 0

/** Stamps the moment of sending, and keeps everything on this machine. */
globalThis.fetch = (input, init) => {
  sentAt = performance.now()
  const url = String(input)
  if (url.includes("github")) throw new Error(`${url} was asked although its cache is fresh`)
  return native(url.startsWith(plan.upstream) ? url : `${plan.upstream}/elsewhere`, init)
}

const quiet = { auth: { set: async () => {} }, app: { log: async () => {} }, tui: { showToast: async () => {} } }
const KEY = Symbol.for("codex-rota.opencode")

/** The shim of one folder, with a child of its own. @param {string} path */
async function shim(path) {
  delete globalThis[KEY]
  const { default: plugin } = await import(pathToFileURL(path).href)
  const link = globalThis[KEY]
  const { auth } = await plugin.server({ client: quiet, directory: process.cwd() })
  const { fetch } = await auth.loader(async () => ({ type: "oauth" }))
  return { fetch, link }
}

/** @param {{path: string, access: string}} alternative */
async function other({ path, access }) {
  const { OpenAIAuthPlugin } = await import(pathToFileURL(path).href)
  const { auth } = await OpenAIAuthPlugin({ client: quiet })
  return auth.loader(async () => ({ type: "oauth", access, refresh: "none", expires: Date.now() + 86_400_000 }), {})
}

const headers = {
  "content-type": "application/json",
  authorization: "Bearer codex-rota",
  originator: "opencode",
  "session-id": "ses_bench",
  "x-session-affinity": "ses_bench",
  "user-agent": "opencode/1.18.33",
}

/** One call as OpenCode makes it, read to its end. @returns {Promise<[number, number]>} ms until sent, and in all */
async function call(fetch, body) {
  const init = { method: "POST", headers: { ...headers }, body, signal: new AbortController().signal }
  const entered = performance.now()
  const response = await fetch("https://api.openai.com/v1/responses", init)
  const text = await response.text()
  const over = performance.now()
  if (response.status !== 200 || !text.includes("response.completed")) throw new Error(`status ${response.status}: ${text.slice(0, 500)}`)
  return [sentAt - entered, over - entered]
}

const ways = { ours: await shim(plan.shims.ours) }
if (plan.rounds) {
  ways.floor = await shim(plan.shims.floor)
  if (plan.alternative) ways.alternative = await other(plan.alternative)
}
ways.none = { fetch: (...args) => globalThis.fetch(...args) }

/** Each way in turn, the first one changing, so that all meet the same machine. */
async function latency() {
  const samples = {}
  for (const { name, path, rounds } of plan.rounds) {
    const body = readFileSync(path, "utf8")
    const names = Object.keys(ways)
    const taken = (samples[name] = Object.fromEntries(names.map((way) => [way, { sent: [], whole: [] }])))
    for (let round = -plan.warmUp; round < rounds; round++)
      for (let i = 0; i < names.length; i++) {
        const way = names[(i + round + plan.warmUp) % names.length]
        const [sent, whole] = await call(ways[way].fetch, body)
        if (round < 0) continue
        taken[way].sent.push(sent)
        taken[way].whole.push(whole)
      }
  }
  return samples
}

/**
 * Memory of this process and of the child, in MiB, after so many calls. Of this
 * one it is what belongs to it alone: pages of the runtime's own file come and go.
 */
async function memory({ path, calls, way }) {
  const body = readFileSync(path, "utf8")
  const status = (pid, field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
  const seen = []
  const look = (after) => {
    globalThis.Bun?.gc(true)
    globalThis.gc?.()
    const pid = ways[way].link?.child?.process.pid
    seen.push({ after, host: status("self", "RssAnon"), child: pid ? status(pid, "VmRSS") : 0 })
  }
  await ways[way].link?.open()
  look(0)
  for (let n = 1; n <= calls; n++) {
    await call(ways[way].fetch, body)
    if (n === 10 || n === calls / 2 || n === calls) look(n)
  }
  return seen
}

const result = plan.rounds ? { samples: await latency() } : { memory: await memory(plan.memory) }
writeFileSync(plan.result, JSON.stringify(result))
process.exit(0)
