package plugin

import "time"

// Status is what `codex-rota status --json` prints.
type Status struct {
	Schema   int               `json:"schema"`
	Version  string            `json:"version"`
	Root     string            `json:"root"`
	Accounts []Account         `json:"accounts"`
	Hosts    []HostState       `json:"hosts"`
	Sessions int               `json:"sessions"` // bound in the last 24 h
	Settings map[string]any    `json:"settings"`
	Warnings []string          `json:"warnings"`
	Errors   []StatusLastError `json:"lastErrors"`
}

// HostState says whether a host has codex-rota registered.
type HostState struct {
	Name       string `json:"name"`
	Registered bool   `json:"registered"`
	Detail     string `json:"detail,omitempty"`
}

type StatusLastError struct {
	At      time.Time `json:"at"`
	Account string    `json:"account,omitempty"`
	Reason  string    `json:"reason"`
}

// Explanation is what `codex-rota explain --json` prints: the choice a call
// would get now, from the code path that chooses.
type Explanation struct {
	Schema     int                `json:"schema"`
	Rotation   string             `json:"rotation"`
	Model      string             `json:"model,omitempty"`
	Session    string             `json:"session,omitempty"`
	Chosen     string             `json:"chosen,omitempty"` // account id
	Reason     string             `json:"reason"`
	RetryAt    *time.Time         `json:"retryAt,omitempty"`
	Candidates []ExplainedAccount `json:"candidates"`
}

type ExplainedAccount struct {
	ID          string     `json:"id"`
	Label       string     `json:"label"`
	State       string     `json:"state"`
	Until       *time.Time `json:"until,omitempty"`
	Chosen      bool       `json:"chosen"`
	Score       float64    `json:"score"`
	Window      string     `json:"window,omitempty"` // the binding window's label
	UsedPercent *float64   `json:"usedPercent,omitempty"`
	ResetAt     *time.Time `json:"resetAt,omitempty"`
	Health      int        `json:"health"`
	IdleSeconds *int64     `json:"idleSeconds,omitempty"`
	Running     int        `json:"running"`
	WhyNot      string     `json:"whyNot,omitempty"`
	Models      []string   `json:"notFor,omitempty"` // models it may not serve now
}
