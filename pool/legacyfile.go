package pool

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"codex-rota/logging"
)

// legacyRecord is one account in the Node tools' formats 1, 2 and 3, which
// differ only in fields that we keep as unknown ones (rateLimitResetTime in
// format 1, rateLimitResetTimes in format 3, …). flaggedAt and flaggedReason
// are set in their flagged file.
type legacyRecord struct {
	AccountID      string   `json:"accountId"`
	AccountUserID  string   `json:"accountUserId"`
	AccountLabel   string   `json:"accountLabel"`
	AccountTags    []string `json:"accountTags"`
	AccountNote    string   `json:"accountNote"`
	PlanType       string   `json:"planType"`
	Email          string   `json:"email"`
	RefreshToken   string   `json:"refreshToken"`
	AccessToken    string   `json:"accessToken"`
	ExpiresAt      millis   `json:"expiresAt"`
	Enabled        *bool    `json:"enabled"`
	AddedAt        millis   `json:"addedAt"`
	TokenRotatedAt millis   `json:"tokenRotatedAt"`
	FlaggedAt      millis   `json:"flaggedAt"`
	FlaggedReason  string   `json:"flaggedReason"`
}

var legacyNames = memberNames(reflect.TypeFor[legacyRecord]())

// sourceMigrated is the Source of an account that came from an older format.
const sourceMigrated = "migrated"

func decodeLegacy(raw []byte) (Account, error) {
	var r legacyRecord
	if err := json.Unmarshal(raw, &r); err != nil {
		return Account{}, err
	}
	extra, err := unknownMembers(raw, legacyNames)
	if err != nil {
		return Account{}, err
	}
	// Names that mean something in format 4 only would be written twice.
	for name := range extra {
		if recordNames[strings.ToLower(name)] {
			delete(extra, name)
		}
	}
	if len(extra) == 0 {
		extra = nil
	}
	a := Account{
		AccountID: strings.TrimSpace(r.AccountID), AccountUserID: r.AccountUserID, Email: r.Email,
		Label: r.AccountLabel, Tags: r.AccountTags, Note: r.AccountNote, Enabled: r.Enabled == nil || *r.Enabled,
		Plan:    r.PlanType,
		Refresh: logging.NewSecret(strings.TrimSpace(r.RefreshToken)), Access: logging.NewSecret(strings.TrimSpace(r.AccessToken)),
		ExpiresAt: time.Time(r.ExpiresAt), AddedAt: time.Time(r.AddedAt),
		Source: sourceMigrated, extra: extra,
	}
	if !r.FlaggedAt.IsZero() {
		a.Flag = &Flag{Kind: FlagNeedsLogin, Reason: nonEmpty(r.FlaggedReason, "flagged by another tool"), At: time.Time(r.FlaggedAt)}
	}
	return a, nil
}
