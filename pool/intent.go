package pool

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"codex-rota/auth"
	"codex-rota/logging"
)

// intent is the record of one refresh: written before the request, so that a
// crash cannot hide that a token was sent; holding the answer before the
// accounts file does, so that a crash cannot lose it.
type intent struct {
	Sent     string // hash of the refresh token about to be sent
	At       time.Time
	Failures int       // attempts that got no final answer
	RetryAt  time.Time // set after such an attempt; zero while one runs, and after a crash
	Answer   *answer
}

// answer is what an exchange gave, with what its tokens say of the seat.
type answer struct {
	Refresh    logging.Secret // the old one when the issuer gave none
	Access     logging.Secret
	ExpiresAt  time.Time
	ReceivedAt time.Time
	Claims     auth.Claims
}

// The file is the head as a line of JSON, padded to headRoom, then room for the
// answer: a line of its SHA-256 and its JSON. The room is written with blanks
// at first, so that the answer needs no new disk space, and the sum tells an
// answer that was cut short by a crash.
const (
	headRoom   = 1 << 10
	answerRoom = 32 << 10
)

type intentHead struct {
	Version  int    `json:"version"`
	Sent     string `json:"sent"`
	At       millis `json:"at"`
	Failures int    `json:"failures,omitempty"`
	RetryAt  millis `json:"retryAt,omitzero"`
}

type answerRecord struct {
	RefreshToken  string `json:"refreshToken"`
	AccessToken   string `json:"accessToken,omitempty"`
	ExpiresAt     millis `json:"expiresAt,omitzero"`
	ReceivedAt    millis `json:"receivedAt"`
	AccountID     string `json:"accountId,omitempty"`
	AccountUserID string `json:"accountUserId,omitempty"`
	UserID        string `json:"userId,omitempty"`
	Email         string `json:"email,omitempty"`
	Plan          string `json:"plan,omitempty"`
	Residency     string `json:"residency,omitempty"`
}

func encodeIntent(in intent) ([]byte, error) {
	head, err := json.Marshal(intentHead{Version: 1, Sent: in.Sent, At: millis(in.At), Failures: in.Failures, RetryAt: millis(in.RetryAt)})
	if err != nil {
		return nil, err
	}
	if len(head) >= headRoom {
		return nil, fmt.Errorf("the head of an intent takes %d bytes, more than %d", len(head), headRoom-1)
	}
	file := bytes.Repeat([]byte(" "), headRoom+answerRoom)
	copy(file, head)
	file[headRoom-1] = '\n'
	file[len(file)-1] = '\n'
	if in.Answer != nil {
		line, err := encodeAnswer(*in.Answer)
		if err != nil {
			return nil, err
		}
		file = append(file[:headRoom], line...)
	}
	return file, nil
}

func encodeAnswer(a answer) ([]byte, error) {
	body, err := json.Marshal(answerRecord{
		RefreshToken: a.Refresh.Reveal(), AccessToken: a.Access.Reveal(),
		ExpiresAt: millis(a.ExpiresAt), ReceivedAt: millis(a.ReceivedAt),
		AccountID: a.Claims.AccountID, AccountUserID: a.Claims.AccountUserID, UserID: a.Claims.UserID,
		Email: a.Claims.Email, Plan: a.Claims.Plan, Residency: a.Claims.Residency,
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return fmt.Appendf(nil, "%s %s\n", hex.EncodeToString(sum[:]), body), nil
}

// decodeIntent reads an intent. An answer whose sum is wrong was cut short:
// then there is none.
func decodeIntent(file []byte) (intent, error) {
	head, rest, found := bytes.Cut(file, []byte("\n"))
	if !found {
		return intent{}, errors.New("an intent without an end of its head")
	}
	var h intentHead
	if err := json.Unmarshal(head, &h); err != nil {
		return intent{}, explainJSON(head, err)
	}
	if h.Version != 1 {
		return intent{}, fmt.Errorf("an intent of version %d", h.Version)
	}
	in := intent{Sent: h.Sent, At: time.Time(h.At), Failures: h.Failures, RetryAt: time.Time(h.RetryAt)}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	sum, body, found := bytes.Cut(line, []byte(" "))
	want := sha256.Sum256(body)
	if !found || string(sum) != hex.EncodeToString(want[:]) {
		return in, nil
	}
	var a answerRecord
	if err := json.Unmarshal(body, &a); err != nil {
		return intent{}, explainJSON(body, err)
	}
	in.Answer = &answer{
		Refresh: logging.NewSecret(a.RefreshToken), Access: logging.NewSecret(a.AccessToken),
		ExpiresAt: time.Time(a.ExpiresAt), ReceivedAt: time.Time(a.ReceivedAt),
		Claims: auth.Claims{
			AccountID: a.AccountID, AccountUserID: a.AccountUserID, UserID: a.UserID,
			Email: a.Email, Plan: a.Plan, Residency: a.Residency,
		},
	}
	return in, nil
}

// readIntent gives the account's intent, nil when there is none. One that
// cannot be understood counts as a crash before the answer of whatever token
// is stored: Sent is "".
func (s *Store) readIntent(id string) (*intent, error) {
	data, _, err := s.disk.read(s.accountFile(id, ".intent"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &UnreadableError{Path: s.accountFile(id, ".intent"), Err: err}
	}
	in, err := decodeIntent(data)
	if err != nil {
		s.log.Warn("an intent cannot be understood; its token is sent again", "account", id, "error", err)
		return &intent{}, nil
	}
	return &in, nil
}

func (s *Store) writeIntent(id string, in intent) error {
	data, err := encodeIntent(in)
	if err != nil {
		return err
	}
	if err := s.disk.replace(s.accountFile(id, ".intent"), data); err != nil {
		return &UnwritableError{s.accountFile(id, ".intent"), err}
	}
	return nil
}

// writeAnswer puts the answer into the room that the intent kept for it.
func (s *Store) writeAnswer(id string, a answer) error {
	line, err := encodeAnswer(a)
	if err != nil {
		return err
	}
	return s.disk.overwrite(s.accountFile(id, ".intent"), headRoom, line)
}

// clearIntent also takes away what a process left that was killed while it wrote
// one. The caller holds the account's lock, so none of that is in use.
func (s *Store) clearIntent(id string) error {
	path := s.accountFile(id, intentSuffix)
	if err := sweepDir(s.disk, s.lockDir, filepath.Base(path)); err != nil {
		s.log.Warn("temporary files of a process that died were not removed", "account", id, "error", err)
	}
	return s.disk.remove(path)
}
