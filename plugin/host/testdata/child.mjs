#!/usr/bin/env node
// Stands in for `codex-rota serve`: passes its stdin and stdout on to the test
// that listens at CODEX_ROTA_TEST_SOCKET, which then answers as codex-rota would.
// Ends on EOF of either side.
import { connect } from "node:net"

const test = connect(process.env.CODEX_ROTA_TEST_SOCKET)
process.stderr.write("[INFO] started\n")
process.stdin.pipe(test)
test.pipe(process.stdout)
test.on("error", () => {}) // 'close' follows
test.on("close", () => process.exit(0))
