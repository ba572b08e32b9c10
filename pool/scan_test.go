package pool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"codex-rota/logging"
)

// wantScanned holds a scan of data, whatever it is, to encoding/json, and reports
// whether the scan made sense of it.
func wantScanned(t interface {
	Helper()
	Fatalf(string, ...any)
}, data []byte) bool {
	t.Helper()
	got, ok := scanDocument(data)
	if !ok {
		return false
	}
	want, err := decodeAnyDocument(data)
	if err != nil {
		t.Fatalf("scanned what is damaged (%v): %s", err, data)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s\nscanned %v\nwant    %v", data, revealed(got), revealed(want))
	}
	return true
}

// revealed is a document that can be printed.
func revealed(d document) []string {
	text := []string{fmt.Sprint(d.version, d.revision), fmt.Sprintf("%q", d.extra)}
	for i := range d.accounts {
		a := d.accounts[i]
		text = append(text, fmt.Sprintf("%+v %q %q %q", a, a.Refresh.Reveal(), a.Access.Reveal(), a.extra))
	}
	return text
}

var anyDocument = rapid.Custom(func(t *rapid.T) document {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9]{1,9}`))
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.SampledFrom([]int64{1e10, 1789e9, 9e12}).Draw(t, "ms"))
	})
	extra := rapid.Custom(func(t *rapid.T) map[string]json.RawMessage {
		value := rapid.SampledFrom([]string{`null`, `1`, `-2.5e3`, `"x\u00e9\""`, `[1, {"a":[]}]`, `{"token":"t"}`, `true`})
		some := map[string]json.RawMessage{}
		for _, name := range rapid.SliceOfN(rapid.StringMatching(`[a-zA-Z_ ]{12}`), 0, 3).Draw(t, "names") {
			some[name] = json.RawMessage(value.Draw(t, "value"))
		}
		if len(some) == 0 {
			return nil
		}
		return some
	})
	account := rapid.Custom(func(t *rapid.T) Account {
		a := Account{ID: text.Draw(t, "id"), AccountID: text.Draw(t, "account"), AccountUserID: text.Draw(t, "seat"), UserID: text.Draw(t, "user"),
			Email: text.Draw(t, "mail"), Label: text.Draw(t, "label"), Tags: rapid.SliceOf(text).Draw(t, "tags"), Note: text.Draw(t, "note"),
			Enabled: rapid.Bool().Draw(t, "enabled"), Pinned: rapid.Bool().Draw(t, "pinned"), Preferred: rapid.Bool().Draw(t, "preferred"),
			Plan: text.Draw(t, "plan"), Residency: text.Draw(t, "residency"), Source: text.Draw(t, "source"),
			Refresh: logging.NewSecret(text.Draw(t, "refresh")), Access: logging.NewSecret(text.Draw(t, "access")),
			ExpiresAt: at.Draw(t, "expires"), RefreshedAt: at.Draw(t, "refreshed"), AddedAt: at.Draw(t, "added"), extra: extra.Draw(t, "extra")}
		if rapid.Bool().Draw(t, "flagged") {
			a.Flag = &Flag{Kind: FlagSuspended, Reason: text.Draw(t, "reason"), At: at.Draw(t, "at"), RefusedHash: text.Draw(t, "hash")}
		}
		return a
	})
	return document{revision: rapid.Int64().Draw(t, "revision"), accounts: rapid.SliceOfN(account, 0, 3).Draw(t, "accounts"), extra: extra.Draw(t, "extra")}
})

// What is damaged or changed by hand in any way is read as encoding/json reads
// it, or left to it.
func TestAScanReadsAsEncodingJSONDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data, err := encodeDocument(anyDocument.Draw(t, "document"))
		if err != nil {
			t.Skip("an unknown field twice")
		}
		if rapid.Bool().Draw(t, "compact") {
			var short bytes.Buffer
			if err := json.Compact(&short, data); err != nil {
				t.Fatal(err)
			}
			data = short.Bytes()
		}
		wantScanned(t, data)
		wantScanned(t, damaged(t, data, `"accounts":[],`, `"version":3,`, `"ID":"x",`, `"id":null,`, `"enabled":1,`, `"expiresAt":"2026-01-02T03:04:05Z",`, `"expiresAt":1e3,`, `"addedAt":0,`, `"addedAt":9300000000000,`, `"é":1,`, `"Pinned":true,`, `"revision":007,`, `"activeIndex":1,`))
	})
}

// damaged puts texts into data, in place of some bytes or of none.
func damaged(t *rapid.T, data []byte, texts ...string) []byte {
	texts = append(texts, "", `"`, `\`, "{", "}", "[", "]", ",", ":", "0", "9", "-", ".", "e1", " ", "\n", "\x00", "\xff", "é", "null", "true")
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		at := rapid.IntRange(0, len(data)).Draw(t, "at")
		if next := bytes.IndexByte(data[at:], '"'); next > 0 && rapid.Bool().Draw(t, "at a text") {
			at += next
		}
		upTo := min(at+rapid.IntRange(0, 3).Draw(t, "cut"), len(data))
		data = slices.Concat(data[:at], []byte(rapid.SampledFrom(texts).Draw(t, "put")), data[upTo:])
	}
	return data
}

// The same of the quota book.
func TestAScanReadsTheBookAsEncodingJSONDoes(t *testing.T) {
	same := func(t *rapid.T, data []byte) bool {
		got, ok := scanBook(data)
		if !ok {
			return false
		}
		want, err := decodeAnyBook(data)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\nscanned %+v\nwant    %+v, %v", data, got, want, err)
		}
		return true
	}
	rapid.Check(t, func(t *rapid.T) {
		book := NewBook()
		for _, id := range []string{"a", "b"} {
			for _, e := range drawEvents(t, id) {
				book.Learn(e.Event, e.at)
			}
			session := rapid.String().Draw(t, "session")
			book.Bind(session, id, t0)
			if s := book.session(session, t0); s != nil {
				s.drop(nil, rapid.SliceOfN(rapid.StringMatching(`[0-9a-f]{1,2}`), 0, 9).Draw(t, "dropped"))
			}
		}
		data, err := encodeBook(book.snapshot())
		if err != nil || !same(t, data) {
			t.Fatalf("%v: encoding/json reads %s", err, data)
		}
		same(t, damaged(t, data, `"accounts":{},`, `"sessions":{"s":{"account":"a"}},`, `"turn":{"at":"2026-01-02T03:04:05Z"},`, `"Plan":"x",`, `"plan":null,`, `"windows":[{"windowMinutes":9}],`, `"blocks":[{"window":"w"}],`, `"windows":null,`,
			`"strain":1e2,`, `"strain":-0.5,`, `"usedPercent":05,`, `"version":1,`, `"dropped":["x"],`, `"until":"2026-01-02",`, `"a":{},`))
	})
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(`{"version":4,"revision":7,"accounts":[{"id":"a","enabled":false,"tags":["x"],"expiresAt":1789000000000,"other":[1,{"a":null}]}],"more":{}}`))
	f.Add([]byte(`{"version":4,"accounts":[{"label":"\u00e9é","note":"\"","pinned":true}]}`))
	f.Fuzz(func(t *testing.T, data []byte) { wantScanned(t, data) })
}

// The files that this program writes are those that the scan is for, with what
// other tools and people left in them.
func TestWhatIsWrittenIsScanned(t *testing.T) {
	all := []Account{
		{ID: "a", AccountID: "W", Email: "jörg@example.com", Label: "<b> & \"c\"", Tags: []string{"x", "y z"}, Enabled: true, Refresh: logging.NewSecret("r"), Access: logging.NewSecret("a"),
			ExpiresAt: t0, RefreshedAt: t0, AddedAt: t0, Source: "browser", extra: map[string]json.RawMessage{"rateLimitResetTimes": json.RawMessage(`{"x":[1]}`), "lastUsed": json.RawMessage(`17`)}},
		{ID: "b", Flag: &Flag{Kind: FlagNeedsLogin, Reason: "gone", At: t0, RefusedHash: "00"}},
	}
	data, err := encodeDocument(document{revision: 3, accounts: all, extra: map[string]json.RawMessage{"kept": json.RawMessage(`[ ]`)}})
	if err != nil || !wantScanned(t, data) {
		t.Errorf("%v: encoding/json reads %s", err, data)
	}
	if n, limit := testing.AllocsPerRun(10, func() { scanDocument(data) }), 45.0; n > limit {
		t.Errorf("%v allocations for two accounts, want at most %v", n, limit)
	}
}

// Where a name comes twice encoding/json merges what the two say.
func TestAScanLeavesWhatComesTwiceToEncodingJSON(t *testing.T) {
	for name, text := range map[string]string{
		"accounts": `"accounts":{"a":{}},"accounts":{"b":{}}`,
		"sessions": `"accounts":{},"sessions":{"a":{}},"sessions":{"b":{}}`,
		"windows":  `"accounts":{"a":{"windows":[{"resetAt":"2026-01-02T03:04:05Z"}],"windows":[{"name":"x"}]}}`,
		"blocks":   `"accounts":{"a":{"blocks":[{"window":"w"}],"blocks":[{"kind":"quota"}]}}`,
		"turn":     `"accounts":{},"turn":{"account":"a"},"turn":{"at":"2026-01-02T03:04:05Z"}`,
	} {
		if _, ok := scanBook([]byte(`{"version":2,` + text + `}`)); ok {
			t.Errorf("%s were scanned", name)
		}
	}
	if _, ok := scanDocument([]byte(`{"version":4,"accounts":[{"id":"a"}],"accounts":[{"label":"b"}]}`)); ok {
		t.Error("two lists of accounts were scanned")
	}
}
