# codex-rota: the commands that people and CI type. `make demo` and `make test`
# need Go 1.26, Node 20 and npm, and nothing else.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

BIN := bin/codex-rota
FUZZTIME ?= 30s

.PHONY: build demo test bench hosts check cross manifest audit fuzz clean

# Without cgo it asks for no libc: it runs on any, and starts a millisecond sooner.
build:
	CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o $(BIN) .

# The whole story: the real OpenCode, three simulated accounts, one spent limit.
demo: build
	./$(BIN) demo

# Everything: vet, staticcheck, Go with the race detector, the shim under Node,
# the real hosts end to end.
test: hosts check cross
	node --test plugin/host/
	go test -race -timeout 20m ./...

# Measures, prints the tables and renews BENCHMARKS.md: about 6 minutes, on a
# machine that does nothing else. The alternative comes from npm into .tools.
bench: hosts
	go test -tags bench -count 1 -timeout 20m -v -run '^TestBench$$' ./plugin/cli

# The pinned real hosts, from npm, into the git-ignored node_modules. Not `npm ci`:
# it insists on the packages of every platform, and some mirrors carry only one.
hosts:
	npm install --no-save --no-audit --no-fund --loglevel=error

check:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "gofmt would change the files above"; exit 1; }
	go vet -tags bench ./...
	go run $(STATICCHECK) -tags bench ./...

# The other systems' files are compiled and vetted on any machine.
cross:
	GOOS=windows go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./...

manifest: build
	./$(BIN) manifest > manifest.json

# For machines with a network.
audit:
	go run $(GOVULNCHECK) ./...
	npm audit --omit=optional

# Longer than a test run: FUZZTIME=10m make fuzz
fuzz:
	@go list ./... | while read -r pkg; do \
	  dir=$$(go list -f '{{.Dir}}' $$pkg); \
	  for target in $$(grep -ho 'func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go 2>/dev/null | sed 's/func //'); do \
	    echo "$$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

clean:
	rm -rf bin node_modules .hosts artifacts
