package pool

import (
	"context"
	"errors"

	"codex-rota/logging"
)

// ErrSeatKnown refuses a login without an access token whose seat, as far as can
// be told without one, is in the pool already.
var ErrSeatKnown = errors.New("its seat seems to be in the pool already, and without an access token that cannot be told for sure")

// ReadAccounts reads an accounts file of ours, an export, or a file of the Node
// tools (formats 1 to 3). The error says where the file stops making sense and
// holds none of its text.
func ReadAccounts(data []byte) ([]Account, error) {
	doc, err := decodeDocument(data)
	return doc.accounts, err
}

// WriteAccounts is the accounts as a file in today's format, tokens in clear
// text: what ReadAccounts reads.
func WriteAccounts(accounts []Account) ([]byte, error) {
	return encodeDocument(document{revision: 1, accounts: accounts})
}

// SameSeat is the identity rule of DESIGN 5: the account id is equal and either
// user id is.
func SameSeat(a, b *Account) bool { return sameSeat(a, b) }

// MaybeSameSeat is SameSeat, and for a record whose seat is not known the best
// that can be said: the same refresh token, or the same workspace and e-mail.
func MaybeSameSeat(a, b *Account) bool { return matches(a, b) }

// Consumed reports whether a refresh token was used up, refused, or replaced by
// a newer login, and must never be presented again.
func (s *Store) Consumed(token logging.Secret) (bool, error) {
	spent, err := s.consumed.has(token)
	if err != nil {
		return false, &UnreadableError{Path: s.consumed.path, Err: err}
	}
	return spent, nil
}

// AddUnidentified stores a login that has a refresh token and no access token,
// as the Node tools' older files hold it. Its seat is completed at its first
// refresh; should that be one that is there, the two records become one. Of
// login everything but ID and Flag is taken. ErrConsumed and ErrSeatKnown refuse
// it.
func (s *Store) AddUnidentified(ctx context.Context, login Account) (Account, error) {
	if login.Refresh.IsZero() {
		return Account{}, errors.New("the login cannot be used: it has no refresh token")
	}
	login.ID, login.Flag, login.Pinned, login.Preferred = "", nil, false, false
	login.AddedAt = s.now()
	for {
		id, err := s.seatOf(&login)
		if err != nil {
			return Account{}, err
		}
		if _, known := s.current().byID(id); known {
			return Account{}, ErrSeatKnown
		}
		a, _, err := s.addUnder(ctx, id, login)
		if !errors.Is(err, errSeatMoved) {
			return a, err
		}
	}
}
