package pool

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// leastRecord is what a record has at least, in bytes, when room is made for others
// like it.
const leastRecord = 256

// scanDocument is decodeDocument for a file as this program writes it, unknown
// members included: it is read at every start of a process and after every change,
// with thousands of accounts too. It reports false for anything else.
func scanDocument(data []byte) (document, bool) {
	s := scan{data: data}
	var doc document
	s.object(func(name []byte) {
		switch string(name) {
		case "version":
			doc.version = int(s.integer())
		case "revision":
			doc.revision = s.integer()
		case "accounts":
			if doc.version != fileVersion || doc.accounts != nil { // what the accounts mean hangs on it
				s.fail()
				return
			}
			doc.accounts = []Account{}
			from := s.at
			s.list(func() {
				doc.accounts = append(doc.accounts, s.record())
				if len(doc.accounts) == 1 { // the others will be as long, or so
					doc.accounts = slices.Grow(doc.accounts, (len(data)-from)/max(s.at-from, leastRecord))
				}
			})
		default:
			s.unknown(&doc.extra, name, headNames)
		}
	})
	s.end()
	return doc, !s.failed && doc.version == fileVersion && doc.accounts != nil
}

// record is one account.
func (s *scan) record() Account {
	var r record
	var extra map[string]json.RawMessage
	s.object(func(name []byte) {
		switch string(name) {
		case "id":
			r.ID = s.text()
		case "accountId":
			r.AccountID = s.text()
		case "accountUserId":
			r.AccountUserID = s.text()
		case "userId":
			r.UserID = s.text()
		case "email":
			r.Email = s.text()
		case "label":
			r.Label = s.text()
		case "tags":
			r.Tags = s.texts()
		case "note":
			r.Note = s.text()
		case "enabled":
			enabled := s.boolean()
			r.Enabled = &enabled
		case "pinned":
			r.Pinned = s.boolean()
		case "preferred":
			r.Preferred = s.boolean()
		case "plan":
			r.Plan = s.text()
		case "residency":
			r.Residency = s.text()
		case "refreshToken":
			r.RefreshToken = s.text()
		case "accessToken":
			r.AccessToken = s.text()
		case "expiresAt":
			r.ExpiresAt = s.millis()
		case "refreshedAt":
			r.RefreshedAt = s.millis()
		case "addedAt":
			r.AddedAt = s.millis()
		case "source":
			r.Source = s.text()
		case "state":
			r.State = FlagKind(s.text())
		case "reason":
			r.Reason = s.text()
		case "flaggedAt":
			r.FlaggedAt = s.millis()
		case "refusedHash":
			r.RefusedHash = s.text()
		default:
			s.unknown(&extra, name, recordNames)
		}
	})
	return r.account(extra)
}

// unknown keeps a member that is not known. A name that encoding/json would take
// for a known one is not for scan.
func (s *scan) unknown(extra *map[string]json.RawMessage, name []byte, known map[string]bool) {
	if known[strings.ToLower(string(name))] {
		s.fail()
		return
	}
	if *extra == nil {
		*extra = map[string]json.RawMessage{}
	}
	key := string(name)
	(*extra)[key] = s.any()
}

// millis is a time as this program writes it: whole milliseconds. What could be
// seconds is left to encoding/json.
func (s *scan) millis() millis {
	n := s.integer()
	if n < 1e10 || n > 9e12 {
		s.fail()
	}
	return millis(time.UnixMilli(n))
}
