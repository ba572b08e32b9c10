// The shim between OpenCode and codex-rota: it moves bytes and decides nothing
// (DESIGN 9, FACTS-hosts 1). This file is what OpenCode asks of a plugin, wire.js
// the child process, call.js one model call. `codex-rota install opencode` writes
// all three and fills in the next three constants; install again, do not edit.
import { readFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { Call } from "./call.js"
import { Link } from "./wire.js"

const BINARY = "__CODEX_ROTA_BINARY__"
const BINARY_SHOWN = "__CODEX_ROTA_BINARY_SHOWN__" // BINARY as it may stand in a message (shim.go)
const VERSION = "__CODEX_ROTA_VERSION__"

const PROVIDER = "openai"
const SENTINEL = "codex-rota" // stands where OpenCode wants a key or a token; no real one is ever here
const METHOD_NOT_FOUND = -32601
const WHO = "an account's id, label or position in codex-list"
const NO_END = 253_402_300_799_000 // the year 9999

/** True when OpenCode has a credential for the provider, or none can be told. Without one it asks no loader. @param {Link} link */
function hasCredential(link) {
  const path = join(process.env.XDG_DATA_HOME || join(homedir(), ".local", "share"), "opencode", "auth.json")
  try {
    return JSON.parse(process.env.OPENCODE_AUTH_CONTENT || readFileSync(path, "utf8"))[PROVIDER] !== undefined
  } catch (error) {
    if (error.code === "ENOENT") return false
    link.log("warn", `${path} cannot be read, so it is left as it is: ${error.message}`)
    return true
  }
}

const credential = { type: "oauth", refresh: SENTINEL, access: SENTINEL, expires: NO_END }

/** A way to log in, led by codex-rota, which may go on in another way than was asked for; OpenCode itself is only given the sentinel. @param {Link} link @param {string} method @param {string} label */
function login(link, method, label) {
  const authorize = async () => {
    try {
      const { login, url, instructions, method: way } = await link.call("login/start", { method })
      const callback = async (text) => {
        try {
          await (way === "paste" ? link.call("login/paste", { login, text }) : link.call("login/wait", { login }))
          return { ...credential, type: "success" }
        } catch (error) {
          link.log("error", `the login did not succeed: ${error.message}`)
          return { type: "failed" }
        }
      }
      return { url, instructions, method: way === "paste" ? "code" : "auto", callback }
    } catch (error) {
      const why = error.code === METHOD_NOT_FOUND ? "" : ` (${error.message})`
      const instructions = `This login cannot be done from here${why}. Run "codex-rota add" in a terminal.`
      return { url: "", instructions, method: "auto", callback: async () => ({ type: "failed" }) }
    }
  }
  return { type: "oauth", label, authorize }
}

/** OpenCode's own zod, with which tools describe their arguments; it resolves only beside OpenCode's config. @param {Link} link */
async function argumentTypes(link) {
  try {
    return (await import("@opencode-ai/plugin")).tool.schema
  } catch (error) {
    link.log("info", `tools that take arguments are left out, OpenCode's zod cannot be loaded: ${error}`)
  }
}

/** @param {Link} link */
async function tools(link) {
  const z = await argumentTypes(link)
  /** @type {[string, string, any][]} */
  const table = [
    ["codex-list", "List the ChatGPT accounts of codex-rota with their state, quota and resets.", {}],
    ["codex-status", "Show codex-rota's accounts, sessions, settings and last errors.", {}],
    ["codex-doctor", "Check codex-rota's files, locks, clock, network, hosts and accounts, with the command that mends each fault.", {}],
    [
      "codex-explain",
      "Explain which ChatGPT account codex-rota would choose now, and why not the others.",
      z && { model: z.string().optional().describe("a model id"), session: z.string().optional().describe("a session id") },
    ],
    ["codex-switch", "Use a ChatGPT account of codex-rota first for new sessions.", z && { account: z.string().describe(WHO) }],
    [
      "codex-limits",
      "Read the quota windows of codex-rota's ChatGPT accounts, and when they reset.",
      z && { account: z.string().optional().describe(`${WHO}; all accounts without it`) },
    ],
    [
      "codex-label",
      "Name a ChatGPT account of codex-rota.",
      z && { account: z.string().describe(WHO), label: z.string().describe("its new label; empty takes the label away") },
    ],
  ]
  const run = (name) => async (args) => {
    const { text } = await link.call("tool/run", { name, args })
    return text
  }
  return Object.fromEntries(table.filter(([, , args]) => args).map(([name, description, args]) => [name, { description, args, execute: run(name) }]))
}

/** One per process, however often OpenCode loads this file. */
const link = (globalThis[Symbol.for("codex-rota.opencode")] ??= new Link({ path: BINARY, shown: BINARY_SHOWN, shim: VERSION }))

export default {
  id: "codex-rota",
  /** Nothing is thrown here or in the loader: it would hand the calls back to OpenCode's own login, or end every provider. @param {any} input */
  server: async ({ client, directory }) => {
    link.clients.add(client)
    try {
      // Of OpenCode's API only this and the log may be awaited here; the rest would wait for us.
      if (!hasCredential(link)) await client.auth.set({ path: { id: PROVIDER }, body: credential })
    } catch (error) {
      link.log("error", `no entry for ${PROVIDER} could be made in OpenCode's auth.json: ${error}`)
    }
    return {
      auth: {
        provider: PROVIDER,
        loader: async (getAuth) => {
          const auth = await getAuth().catch((error) => link.log("warn", `OpenCode's auth.json cannot be read: ${error}`))
          if (auth?.type === "api") return {} // the person's own API key: not ours to touch
          link.open(directory).catch((error) => link.log("error", error.message))
          return { apiKey: SENTINEL, fetch: (url, init) => new Call(link, url, init).run() }
        },
        methods: [
          login(link, "browser", "ChatGPT account for codex-rota (browser)"),
          login(link, "device", "ChatGPT account for codex-rota (code on another device)"),
          login(link, "paste", "ChatGPT account for codex-rota (paste the address)"),
          { type: "api", label: "Manually enter API Key" },
        ],
      },
      tool: await tools(link),
      dispose: async () => {
        link.clients.delete(client)
        if (!link.clients.size) link.child?.retire()
      },
    }
  },
}
