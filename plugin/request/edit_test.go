package request

import (
	"encoding/json"
	"testing"
)

func TestEditOnTheWire(t *testing.T) {
	edit := Edit{Start: 3, Delete: 0, Text: "<é\u2028\"\\\n&>"}
	data, err := edit.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if want := `[3,0,"<é\u2028\"\\\n&>"]`; string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
	var back Edit
	if err := json.Unmarshal(data, &back); err != nil || back != edit {
		t.Errorf("back: %+v, %v", back, err)
	}
	for _, bad := range []string{`[1,2]`, `[1,2,"x",4]`, `["1",2,"x"]`, `[1,2,3]`, `{}`, `[1.5,2,"x"]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil || back != edit {
			t.Errorf("%s was read as %+v", bad, back)
		}
	}
}

func TestApply(t *testing.T) {
	body := []byte("0123456789")
	if got := Apply(body, nil); &got[0] != &body[0] {
		t.Error("a body without edits was copied")
	}
	got := string(Apply(body, []Edit{{0, 0, "a"}, {1, 2, ""}, {5, 1, "bcd"}, {10, 0, "e"}}))
	if got != "a034bcd6789e" {
		t.Error(got)
	}
}
