package logging

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
)

// Secret holds a credential that must never reach a log, an error or a
// message by accident. Every way of printing it gives "[redacted]"; only
// Reveal gives the text. The pointer keeps hclog's and fmt's reflection from
// walking into a string field (FACTS-upstream 7.3). The zero value is the
// empty secret.
type Secret struct{ p *string }

const redacted = "[redacted]"

// NewSecret wraps s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{p: &s}
}

// Reveal gives the text itself, for the one request or file it belongs in.
func (s Secret) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.p == nil }

// Equal compares two secrets in constant time.
func (s Secret) Equal(t Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(t.Reveal())) == 1
}

// Hash is the hex SHA-256 of the text: what intents and the consumed list keep
// in its place. The empty secret hashes to "".
func (s Secret) Hash() string {
	if s.p == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(*s.p))
	return hex.EncodeToString(sum[:])
}

// Format implements fmt.Formatter for every verb, %#v and %x included.
func (s Secret) Format(f fmt.State, _ rune) {
	if s.p != nil {
		_, _ = f.Write([]byte(redacted))
	}
}

// MarshalText keeps encoders from reading the secret. Code that must store one
// calls Reveal into a field of its own file format.
func (s Secret) MarshalText() ([]byte, error) {
	if s.p == nil {
		return nil, nil
	}
	return []byte(redacted), nil
}
