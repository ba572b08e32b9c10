package pool

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestBookRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book := NewBook()
		for _, id := range []string{"a", "b"} {
			for _, e := range drawEvents(t, id) {
				book.Learn(e.Event, e.at)
			}
			at := minutes(t, 0, 60, "used")
			book.Bind("session of "+id, id, at)
			book.session("session of "+id, at).drop(nil, rapid.SliceOfN(rapid.StringMatching(`[0-9a-f]{1,2}`), 0, 9).Draw(t, "dropped"))
		}
		want := book.snapshot()
		data, err := encodeBook(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeBook(data)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateApproxTime(0), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(session{})); d != "" {
			t.Fatal(d)
		}
		other := NewBook()
		other.absorb(got, in(200*time.Hour))
		if d := cmp.Diff(want, other.snapshot(), cmpopts.EquateApproxTime(0), cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(session{})); d != "" {
			t.Fatalf("absorbed: %s", d)
		}
	})
}

// FuzzBook: whatever lies in the file, reading it ends in an error or in a book
// that can be asked and written again.
func FuzzBook(f *testing.F) {
	book := bookOf(week("a", 10, time.Hour), limitedFor("a", time.Hour), notFor("b", "m"))
	book.Bind("s", "a", t0)
	book.session("s", t0).drop(nil, []string{"1", "2"})
	data, err := encodeBook(book.snapshot())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":2,"accounts":{"":{"windows":[{},{}],"blocks":[{}]}},"sessions":{"":{},"s":{"account":"a","dropped":["","x","x"]}},"turn":{"at":"9999-12-31T23:59:59Z"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := decodeBook(data)
		if err != nil {
			return
		}
		book := NewBook()
		book.absorb(file, t0)
		book.trim(t0)
		list := accounts("a", "b")
		for id := range file.Accounts {
			list = append(list, account(id))
		}
		book.dropped("s", t0)
		Explain(NewRoster(list), book, Query{Session: "s", Model: "m"}, t0)
		data, err = encodeBook(book.snapshot())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeBook(data); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}
