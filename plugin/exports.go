package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"

	"codex-rota/logging"
	"codex-rota/pool"
)

// Export is the accounts with their tokens in clear text, as one file that
// import reads. LeftOut are the ids of those that have no login to export.
type Export struct {
	Data     []byte
	Accounts int
	LeftOut  []string
}

// ExportAccounts gathers every account that has a refresh token. It refreshes
// nothing.
func (s *Service) ExportAccounts() (*Export, error) {
	accounts, err := s.store.Accounts()
	if err != nil {
		return nil, s.storeError(err)
	}
	out := &Export{LeftOut: []string{}}
	var whole []pool.Account
	for i := range accounts {
		if accounts[i].Refresh.IsZero() {
			out.LeftOut = append(out.LeftOut, accounts[i].ID)
			continue
		}
		whole = append(whole, accounts[i])
	}
	if len(whole) == 0 {
		return nil, s.refuseEmpty("there is no login in the pool to export")
	}
	out.Accounts = len(whole)
	if out.Data, err = pool.WriteAccounts(whole); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return out, nil
}

func (s *Service) refuseEmpty(message string) *Error {
	return &Error{Code: CodeNoAccounts, Message: message + ". Type: codex-rota add", Hint: "codex-rota add"}
}

// ErrPassphrase is the wrong passphrase for a sealed file.
var ErrPassphrase = errors.New("the passphrase is wrong")

// sealedMark is how age begins its files.
const sealedMark = "age-encryption.org/v1\n"

// Sealed reports whether data is what Seal made, or any other age file.
func Sealed(data []byte) bool { return bytes.HasPrefix(data, []byte(sealedMark)) }

// Seal encrypts data with a passphrase, as `age -p` does: whoever has age can
// open it too.
func Seal(data []byte, passphrase logging.Secret) ([]byte, error) {
	to, err := age.NewScryptRecipient(passphrase.Reveal())
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if _, err := w.Write(data); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypt: %w", err)
	}
	return out.Bytes(), nil
}

// Unseal opens what Seal made. A wrong passphrase is ErrPassphrase.
func Unseal(data []byte, passphrase logging.Secret) ([]byte, error) {
	with, err := age.NewScryptIdentity(passphrase.Reveal())
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	r, err := age.Decrypt(bytes.NewReader(data), with)
	var wrong *age.NoIdentityMatchError
	if errors.As(err, &wrong) {
		if !slices.Contains(wrong.StanzaTypes, "scrypt") {
			return nil, errors.New("the file is encrypted for a key, not with a passphrase; decrypt it with age, then import what comes out")
		}
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return nil, errors.New("the file is damaged: its end does not fit the rest") // age's words name chunks
	}
	return out, nil
}
