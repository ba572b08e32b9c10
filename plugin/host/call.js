// One model call in OpenCode: what its fetch was given goes to codex-rota, what
// codex-rota prepared goes to OpenAI, and of the answer codex-rota sees the head
// and the end (DESIGN 4). Bytes are moved here; every decision is codex-rota's.
import { setTimeout as pause } from "node:timers/promises"
import { Refusal, Stopped } from "./wire.js"

const REFUSED = 403 // where there is no codex-rota to ask: OpenCode ends the turn and shows the text
const ERROR_BODY = 64 * 1024
const UNDECIDED = 1024 * 1024
const TAIL_RING = 64 * 1024
const TAIL_MOST = 1024 * 1024

/** @typedef {import("./wire.js").Link} Link */
/** @typedef {import("./wire.js").WireResponse} WireResponse */
/** @typedef {[string, string]} Pair a header's name and value */
/** @typedef {{pass?: boolean, url: string, headers: Pair[], edits?: [number, number, string][], collapse?: boolean, timeouts?: {headersMs: number, idleMs: number}}} Prepared */
/** @typedef {{verdict: string, dropHeaders?: string[], afterMs?: number, request?: Prepared, response?: WireResponse}} Verdict */
/** @typedef {(params: object, bytes?: Uint8Array) => Promise<Verdict>} Judge */

/** The end of a stream, from the start of its last event, in little memory. */
class Tail {
  chunks = []
  size = 0
  limit = 2 * TAIL_RING

  /** @param {Uint8Array} chunk */
  add(chunk) {
    this.chunks.push(chunk)
    this.size += chunk.length
    if (this.size < this.limit) return
    const kept = this.bytes()
    this.chunks = [Buffer.from(kept)] // a copy, so that the rest can be freed
    this.size = kept.length
    this.limit = Math.max(2 * TAIL_RING, 2 * kept.length) // a long event is not searched at every chunk
  }

  bytes() {
    const all = Buffer.concat(this.chunks)
    let end = all.length
    while (end > 0 && (all[end - 1] === 10 || all[end - 1] === 13)) end--
    const lf = all.lastIndexOf("\n\n", end - 1)
    const crlf = all.lastIndexOf("\r\n\r\n", end - 1)
    const start = end === 0 ? 0 : Math.max(lf < 0 ? 0 : lf + 2, crlf < 0 ? 0 : crlf + 4)
    return all.subarray(Math.max(start, all.length - TAIL_MOST))
  }
}

/** The backend's answer while it is read; held is what nobody has been given yet. */
class Answer {
  held = []
  size = 0
  over = false
  tail = new Tail()

  /** @param {Response} response @param {AbortController} stop @param {number} [idleMs] the longest silence between chunks */
  constructor(response, stop, idleMs) {
    this.response = response
    this.reader = response.body?.getReader()
    this.stop = stop
    this.idleMs = idleMs
  }

  /** @returns {Promise<Uint8Array | undefined>} the next chunk, undefined at the end */
  async read() {
    if (!this.over && this.reader) {
      const { value } = await within(this.idleMs, this.stop, this.reader.read())
      if (value) {
        this.size += value.length
        this.tail.add(value)
        return value
      }
    }
    this.over = true
  }

  /** Reads one more chunk and keeps it for whoever gets the answer. */
  async hold() {
    const chunk = await this.read()
    if (chunk) this.held.push(chunk)
    return chunk
  }

  async cancel(reason) {
    await this.reader?.cancel(reason).catch(() => {}) // it is thrown away whatever state it is in
  }
}

/** Waits for promise; after ms the transfer is stopped, and with it the promise. */
async function within(ms, stop, promise) {
  const timer = ms ? setTimeout(() => stop.abort(new Error("nothing came from OpenAI for too long")), ms) : undefined
  try {
    return await promise
  } finally {
    clearTimeout(timer)
  }
}

/** The body with the edits made: [start, delete, text] in bytes of the original, ascending. */
function edited(body, edits) {
  if (!body || !edits?.length) return body
  const parts = []
  let at = 0
  for (const [start, remove, text] of edits) {
    parts.push(body.subarray(at, start), Buffer.from(text))
    at = start + remove
  }
  return Buffer.concat([...parts, body.subarray(at)])
}

/** @param {any} body what fetch takes as a body @returns {Promise<Buffer | undefined>} */
async function bytesOf(body) {
  if (body === undefined || body === null) return undefined
  if (typeof body === "string" || body instanceof ArrayBuffer) return Buffer.from(body)
  if (ArrayBuffer.isView(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return Buffer.from(await new Response(body).arrayBuffer())
}

/** @param {any} headers as in fetch's init; undefined values are left out, as OpenCode does @returns {Pair[]} */
function pairsOf(headers) {
  const given = headers instanceof Headers || Array.isArray(headers) ? headers : Object.entries(headers ?? {})
  return [...new Headers([...given].filter(([, value]) => value !== undefined))]
}

/** @param {any} error of Node's or Bun's fetch @param {AbortSignal} stop */
function transportError(error, stop) {
  const cause = error?.cause ?? error
  const text = [cause?.code, cause?.errors?.[0]?.code, cause?.name, cause?.message].join(" ")
  /** @type {[string, RegExp][]} */
  const kinds = [
    ["dns", /ENOTFOUND|EAI_|getaddrinfo|DNS/],
    ["tls", /CERT|TLS|SSL|UNABLE_TO_|certificate/],
    ["connect", /ECONNREFUSED|ConnectionRefused|FailedToOpenSocket|EHOSTUNREACH|ENETUNREACH|CONNECT_TIMEOUT/],
    ["timeout", /TIMEDOUT|TIMEOUT|TimeoutError/],
    ["aborted", /AbortError|ABORT/],
  ]
  // Ours is the only stop; the person's abort never gets here.
  const kind = stop.aborted ? "timeout" : (kinds.find(([, pattern]) => pattern.test(text))?.[0] ?? "reset")
  return { kind, message: String(cause?.message ?? cause) }
}

/** @param {WireResponse} response */
const wired = ({ status, headers, body }) => new Response(body, { status, headers })

/** One model call, from OpenCode's fetch to the end of its answer. */
export class Call {
  began = performance.now()
  closed = false

  /** @param {Link} link @param {any} input @param {any} init fetch's own arguments */
  constructor(link, input, init) {
    this.link = link
    this.id = ++link.calls
    this.input = input
    this.init = init
    this.request = input instanceof Request ? input : undefined
    /** @type {AbortSignal | undefined} */
    this.signal = init?.signal ?? this.request?.signal
    this.method = init?.method ?? this.request?.method ?? "GET"
  }

  async run() {
    try {
      this.body = await bytesOf(this.init?.body ?? (this.request?.body ? await this.request.clone().arrayBuffer() : undefined))
      const url = this.request?.url ?? String(this.input)
      const headers = pairsOf(this.init?.headers ?? this.request?.headers)
      /** @type {Prepared} */
      let prepared = await this.ask("request/prepare", { url, method: this.method, headers }, this.body)
      if (prepared.pass) return fetch(this.input, this.untouched())
      for (let attempt = 1; ; attempt++) {
        const { verdict, answer } = await this.attempt(prepared, attempt)
        if (verdict.verdict === "retry" && verdict.request) {
          await answer?.cancel()
          await pause(verdict.afterMs ?? 0, undefined, { signal: this.signal })
          prepared = verdict.request
          continue
        }
        return await this.conclude(verdict, answer, prepared)
      }
    } catch (error) {
      return this.fail(error)
    }
  }

  /** A stream can be read once, so its bytes stand in for it. */
  untouched() {
    return this.init?.body instanceof ReadableStream ? { ...this.init, body: this.body } : this.init
  }

  /** @param {string} method @param {object} params @param {Uint8Array} [body] */
  ask(method, params, body) {
    return this.link.call(method, { call: this.id, ...params }, { body, signal: this.signal, again: true })
  }

  /**
   * Sends the call once and reads until codex-rota knows what to do.
   * @param {Prepared} prepared @param {number} attempt
   * @returns {Promise<{verdict: Verdict, answer?: Answer}>}
   */
  async attempt(prepared, attempt) {
    const stop = new AbortController()
    const signal = this.signal ? AbortSignal.any([this.signal, stop.signal]) : stop.signal
    const { url, headers, edits, timeouts } = prepared
    const sent = performance.now()
    /** @type {Judge} */
    const judge = (params, bytes) => this.ask("request/response", { attempt, elapsedMs: performance.now() - sent, ...params }, bytes)
    let answer
    try {
      // A redirect is not followed: the access token is for the backend alone.
      const init = { ...this.init, method: this.method, headers, body: edited(this.body, edits), signal, redirect: "manual" }
      const response = await within(timeouts?.headersMs, stop, fetch(url, init))
      const head = { status: response.status, headers: [...response.headers], elapsedMs: performance.now() - sent }
      answer = new Answer(response, stop, timeouts?.idleMs)
      const left = timeouts && Math.max(1, timeouts.headersMs - head.elapsedMs)
      return { verdict: await (response.ok ? this.judgeStream(answer, judge, head) : this.judgeError(answer, judge, head, left)), answer }
    } catch (error) {
      await answer?.cancel()
      if (this.signal?.aborted || error instanceof Stopped || error instanceof Refusal) throw error
      return { verdict: await judge({ transportError: transportError(error, stop.signal) }) }
    }
  }

  /** Chunk by chunk, until it is clear what the stream is. @param {Answer} answer @param {Judge} judge @param {object} head */
  async judgeStream(answer, judge, head) {
    for (;;) {
      const offset = answer.size
      const verdict = await judge({ ...head, offset }, await answer.hold())
      if (verdict.verdict !== "more") return verdict
      if (answer.over || answer.size >= UNDECIDED) return { verdict: "deliver" }
    }
  }

  /**
   * At once, with the beginning of the body, or with what came of it in time.
   * @param {Answer} answer @param {Judge} judge @param {object} head @param {number} [leftMs]
   */
  async judgeError(answer, judge, head, leftMs) {
    const beginning = async () => {
      while (answer.size < ERROR_BODY && (await answer.hold())) continue
    }
    try {
      await within(leftMs, answer.stop, beginning())
    } catch (error) {
      if (this.signal?.aborted) throw error
      answer.over = true // what came of the body says enough
    }
    return judge(head, Buffer.concat(answer.held).subarray(0, ERROR_BODY))
  }

  /** @param {Verdict} verdict @param {Answer | undefined} answer @param {Prepared} prepared */
  async conclude(verdict, answer, prepared) {
    // Only another try would need these, and an answer can take minutes.
    this.body = this.init = this.input = this.request = undefined
    if (verdict.verdict === "reply" && verdict.response) {
      await answer?.cancel()
      this.done("failed")
      return wired(verdict.response)
    }
    if (!answer) throw new Refusal({ message: "OpenAI could not be reached. Send your message once more." })
    if (prepared.collapse && answer.response.ok) {
      while (await answer.hold()) continue
      const { response } = await this.ask("response/collapse", {}, Buffer.concat(answer.held))
      this.done("completed", answer)
      return wired(response)
    }
    return this.deliver(answer, verdict.dropHeaders ?? [])
  }

  /** Hands the answer on as it comes, chunk by chunk when OpenCode asks for one. @param {Answer} answer @param {string[]} dropHeaders */
  deliver(answer, dropHeaders) {
    const { status, statusText, headers: given } = answer.response
    const headers = new Headers(given)
    for (const name of dropHeaders) headers.delete(name)
    if (!answer.reader) this.done("completed", answer)
    this.onAbort = () => this.done("aborted", answer) // after the end it means nothing: done is said once
    this.signal?.addEventListener("abort", this.onAbort)
    const source = {
      pull: async (controller) => {
        try {
          const chunk = answer.held.shift() ?? (await answer.read())
          if (chunk) return controller.enqueue(chunk)
          this.done("completed", answer)
          controller.close()
        } catch (error) {
          this.done(this.signal?.aborted ? "aborted" : "failed", answer)
          controller.error(this.signal?.aborted ? this.signal.reason : error)
        }
      },
      cancel: (reason) => {
        this.done("aborted", answer)
        return answer.cancel(reason)
      },
    }
    return new Response(answer.reader ? new ReadableStream(source, { highWaterMark: 0 }) : null, { status, statusText, headers })
  }

  /** Nothing but the person's own abort is thrown: OpenCode repeats what is. @param {any} error */
  fail(error) {
    this.done(this.signal?.aborted ? "aborted" : "failed")
    if (this.signal?.aborted) throw this.signal.reason
    if (error instanceof Refusal && error.data?.response) return wired(error.data.response)
    let message = error.message
    if (!(error instanceof Refusal || error instanceof Stopped)) {
      this.link.log("error", String(error?.stack ?? error))
      message = "The answer of OpenAI broke off before it could be used. Send your message once more."
    }
    return Response.json({ error: { message, type: "codex_rota", code: null } }, { status: REFUSED })
  }

  /** @param {"completed" | "failed" | "aborted"} end @param {Answer} [answer] */
  done(end, answer) {
    if (this.closed) return
    this.closed = true
    if (this.onAbort) this.signal?.removeEventListener("abort", this.onAbort)
    this.link.notify("request/done", { call: this.id, end, durationMs: performance.now() - this.began }, answer?.tail.bytes())
  }
}

