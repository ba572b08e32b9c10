package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"codex-rota/logging"
)

// fileVersion is the format this program writes, for both files.
const fileVersion = 4

// document is an accounts file or a flagged file, decoded. version is the
// format it was in; 0 stands for a bare array or an object without a version.
type document struct {
	version  int
	revision int64
	accounts []Account
	extra    map[string]json.RawMessage // unknown fields of the file itself
}

// fileHead is the document's outer object in format 4. In the Node tools'
// formats 1–3 activeIndex and activeIndexByFamily are positions in the list;
// they say where that tool's rotation stood and are dropped.
type fileHead struct {
	Version  int               `json:"version"`
	Revision int64             `json:"revision"`
	Accounts []json.RawMessage `json:"accounts"`
}

// record is one account in format 4. The names that the Node tools' format 3
// has too are spelled as there; times are milliseconds since 1970. The last
// four are set in the flagged file only.
type record struct {
	ID            string   `json:"id,omitempty"`
	AccountID     string   `json:"accountId,omitempty"`
	AccountUserID string   `json:"accountUserId,omitempty"`
	UserID        string   `json:"userId,omitempty"`
	Email         string   `json:"email,omitempty"`
	Label         string   `json:"label,omitempty"`
	Tags          []string `json:"tags,omitempty"`
	Note          string   `json:"note,omitempty"`
	Enabled       *bool    `json:"enabled,omitempty"` // missing means enabled
	Pinned        bool     `json:"pinned,omitempty"`
	Preferred     bool     `json:"preferred,omitempty"`
	Plan          string   `json:"plan,omitempty"`
	Residency     string   `json:"residency,omitempty"`
	RefreshToken  string   `json:"refreshToken,omitempty"`
	AccessToken   string   `json:"accessToken,omitempty"`
	ExpiresAt     millis   `json:"expiresAt,omitzero"`
	RefreshedAt   millis   `json:"refreshedAt,omitzero"`
	AddedAt       millis   `json:"addedAt,omitzero"`
	Source        string   `json:"source,omitempty"`
	State         FlagKind `json:"state,omitempty"`
	Reason        string   `json:"reason,omitempty"`
	FlaggedAt     millis   `json:"flaggedAt,omitzero"`
	RefusedHash   string   `json:"refusedHash,omitempty"`
}

var (
	headNames   = memberNames(reflect.TypeFor[fileHead](), "activeindex", "activeindexbyfamily")
	recordNames = memberNames(reflect.TypeFor[record]())
)

// memberNames lists a struct's JSON names in lower case: encoding/json takes a
// hand-written "AccountID" for accountId, so that is no unknown field either.
func memberNames(t reflect.Type, more ...string) map[string]bool {
	names := make(map[string]bool, t.NumField())
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names[strings.ToLower(name)] = true
	}
	for _, name := range more {
		names[name] = true
	}
	return names
}

// unknownMembers gives the members of a JSON object whose names are not known,
// nil when there are none.
func unknownMembers(object []byte, known map[string]bool) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		return nil, err
	}
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool { return known[strings.ToLower(name)] })
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// millis is a time in a file: written as whole milliseconds since 1970; read
// from those, from seconds (a number below 10^10, FACTS-upstream 4) or from an
// RFC 3339 text, because people and other tools write these files too.
type millis time.Time

func (m millis) IsZero() bool { return time.Time(m).IsZero() }

func (m millis) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(m).UnixMilli())
}

func (m *millis) UnmarshalJSON(data []byte) error {
	var number float64
	if err := json.Unmarshal(data, &number); err != nil {
		var text time.Time
		if err := json.Unmarshal(data, &text); err != nil {
			return errors.New("a time is neither milliseconds nor RFC 3339")
		}
		*m = millis(text)
		return nil
	}
	switch {
	case number <= 0 || number > math.MaxInt64/1e6:
		*m = millis{}
	case number < 1e10:
		*m = millis(time.UnixMilli(int64(number * 1000)))
	default:
		*m = millis(time.UnixMilli(int64(number)))
	}
	return nil
}

// newerVersionError is a file in a format that a later release wrote.
type newerVersionError struct{ version int }

func (e newerVersionError) Error() string {
	return fmt.Sprintf("it has version %d, and this release knows versions up to %d", e.version, fileVersion)
}

// decodeDocument reads an accounts file or a flagged file of any version up to
// 4. The error says where the file stops making sense and holds none of its
// text.
func decodeDocument(data []byte) (document, error) {
	if doc, ok := scanDocument(data); ok {
		return doc, nil
	}
	return decodeAnyDocument(data)
}

// decodeAnyDocument is decodeDocument for what this program did not write, and
// for what is damaged.
func decodeAnyDocument(data []byte) (document, error) {
	var outer json.RawMessage
	if err := json.Unmarshal(data, &outer); err != nil {
		return document{}, explainJSON(data, err)
	}
	if outer[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(outer, &list); err != nil {
			return document{}, explainJSON(data, err)
		}
		return decodeAccounts(document{}, list, decodeLegacy)
	}
	var version struct {
		Version json.RawMessage `json:"version"`
	}
	if err := json.Unmarshal(outer, &version); err != nil {
		return document{}, explainJSON(data, err)
	}
	var doc document
	if len(version.Version) > 0 {
		if err := json.Unmarshal(version.Version, &doc.version); err != nil || doc.version < 1 {
			return document{}, errors.New("its version is not a number of 1 or more")
		}
	}
	if doc.version > fileVersion {
		return document{}, newerVersionError{doc.version}
	}
	var head fileHead
	if err := json.Unmarshal(outer, &head); err != nil {
		return document{}, explainJSON(data, err)
	}
	if head.Accounts == nil {
		return document{}, errors.New(`it has no list "accounts"`)
	}
	doc.revision = head.Revision
	decode := decodeLegacy
	if doc.version == fileVersion {
		decode = decodeRecord
	}
	var err error
	if doc.extra, err = unknownMembers(outer, headNames); err != nil {
		return document{}, explainJSON(data, err)
	}
	return decodeAccounts(doc, head.Accounts, decode)
}

func decodeAccounts(doc document, list []json.RawMessage, decode func([]byte) (Account, error)) (document, error) {
	doc.accounts = make([]Account, len(list))
	for i, raw := range list {
		a, err := decode(raw)
		if err != nil {
			return document{}, fmt.Errorf("account %d of %d: %w", i+1, len(list), explainType(err))
		}
		doc.accounts[i] = a
	}
	return doc, nil
}

func decodeRecord(raw []byte) (Account, error) {
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return Account{}, err
	}
	extra, err := unknownMembers(raw, recordNames)
	if err != nil {
		return Account{}, err
	}
	return r.account(extra), nil
}

func (r *record) account(extra map[string]json.RawMessage) Account {
	a := Account{
		ID: r.ID, AccountID: r.AccountID, AccountUserID: r.AccountUserID, UserID: r.UserID, Email: r.Email,
		Label: r.Label, Tags: r.Tags, Note: r.Note, Enabled: r.Enabled == nil || *r.Enabled,
		Pinned: r.Pinned, Preferred: r.Preferred, Plan: r.Plan, Residency: r.Residency,
		Refresh: logging.NewSecret(r.RefreshToken), Access: logging.NewSecret(r.AccessToken),
		ExpiresAt: time.Time(r.ExpiresAt), RefreshedAt: time.Time(r.RefreshedAt), AddedAt: time.Time(r.AddedAt),
		Source: r.Source, extra: extra,
	}
	if r.State != "" {
		a.Flag = &Flag{Kind: r.State, Reason: r.Reason, At: time.Time(r.FlaggedAt), RefusedHash: r.RefusedHash}
	}
	return a
}

func encodeRecord(a *Account) ([]byte, error) {
	r := record{
		ID: a.ID, AccountID: a.AccountID, AccountUserID: a.AccountUserID, UserID: a.UserID, Email: a.Email,
		Label: a.Label, Tags: a.Tags, Note: a.Note, Enabled: &a.Enabled,
		Pinned: a.Pinned, Preferred: a.Preferred, Plan: a.Plan, Residency: a.Residency,
		RefreshToken: a.Refresh.Reveal(), AccessToken: a.Access.Reveal(),
		ExpiresAt: millis(a.ExpiresAt), RefreshedAt: millis(a.RefreshedAt), AddedAt: millis(a.AddedAt),
		Source: a.Source,
	}
	if a.Flag != nil {
		r.State, r.Reason, r.FlaggedAt, r.RefusedHash = a.Flag.Kind, a.Flag.Reason, millis(a.Flag.At), a.Flag.RefusedHash
	}
	return marshalWith(r, a.extra)
}

// encodeDocument writes doc in format 4, whatever it was read from.
func encodeDocument(doc document) ([]byte, error) {
	head := fileHead{Version: fileVersion, Revision: doc.revision, Accounts: make([]json.RawMessage, len(doc.accounts))}
	for i := range doc.accounts {
		raw, err := encodeRecord(&doc.accounts[i])
		if err != nil {
			return nil, err
		}
		head.Accounts[i] = raw
	}
	compact, err := marshalWith(head, doc.extra)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// marshalWith encodes a struct that has at least one member and appends extra
// members, in order of their names.
func marshalWith(v any, extra map[string]json.RawMessage) ([]byte, error) {
	out, err := json.Marshal(v)
	if err != nil || len(extra) == 0 {
		return out, err
	}
	out = out[:len(out)-1]
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(out, ',')
		out = append(out, key...)
		out = append(out, ':')
		out = append(out, extra[name]...)
	}
	return append(out, '}'), nil
}

// explainJSON says where a syntax error is. encoding/json's own text may quote
// the file, which holds tokens.
func explainJSON(data []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		upto := data[:min(int(syntax.Offset), len(data))]
		line := 1 + bytes.Count(upto, []byte("\n"))
		column := len(upto) - (bytes.LastIndexByte(upto, '\n') + 1)
		return fmt.Errorf("it is not JSON from line %d, column %d on", line, column)
	}
	return explainType(err)
}

func explainType(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field == "" {
			return fmt.Errorf("a value has the wrong type: want %s", kindName(wrong.Type))
		}
		return fmt.Errorf("field %q has the wrong type: want %s", wrong.Field, kindName(wrong.Type))
	}
	return err
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		return "a list"
	case reflect.Bool, reflect.Pointer:
		return "true or false"
	case reflect.String:
		return "a text"
	}
	return "a number"
}
