package pool

import "time"

// Names of the account-wide windows; any other name is a named limit
// (FACTS-upstream 5).
const (
	WindowPrimary    = "primary"
	WindowSecondary  = "secondary"
	WindowCodeReview = "code_review"
)

// Window is one quota window as the backend reported it. UsedPercent is 0–100
// as sent; WindowMinutes 0 means disabled on this plan. ResetAt is zero when
// unknown. ObservedAt is when the call that told it was sent.
type Window struct {
	Name          string    `json:"name"`
	UsedPercent   float64   `json:"usedPercent"`
	WindowMinutes int       `json:"windowMinutes"`
	ResetAt       time.Time `json:"resetAt,omitzero"`
	ObservedAt    time.Time `json:"observedAt"`
}

// BlockKind says what kind of refusal a block comes from, and so what may end
// it early.
type BlockKind string

const (
	BlockQuota       BlockKind = "quota"       // a window is spent: ends by time or by newer evidence about that window
	BlockRateLimit   BlockKind = "rate_limit"  // ends by time only
	BlockEntitlement BlockKind = "entitlement" // the plan or the model: 24 h
	BlockRefresh     BlockKind = "refresh"     // the token endpoint could not be reached: back-off
)

// Block keeps one account out of service until a time. Model "" means every
// model. Window names the window of a quota block ("" when the answer named
// none: then it concerns every account-wide window).
type Block struct {
	Kind      BlockKind `json:"kind"`
	Window    string    `json:"window,omitempty"`
	Model     string    `json:"model,omitempty"`
	Until     time.Time `json:"until"`
	LearnedAt time.Time `json:"learnedAt"` // when the refused call was sent
	Reason    string    `json:"reason"`    // our words
}

// Event is one thing learned about one account. Exactly the fields that were
// learned are set; At is when the call it came from was sent.
type Event struct {
	Account string
	At      time.Time
	Windows []Window
	Block   *Block
	Success bool // an answer was delivered: health up, last used
	Failure bool // the account itself refused: health down
	Plan    string
}

// StateName is a word of DESIGN 5.
type StateName string

const (
	StateReady      StateName = "ready"
	StateLimited    StateName = "limited"
	StateCooling    StateName = "cooling"
	StateNeedsLogin StateName = "needs_login"
	StateSuspended  StateName = "suspended"
	StateDisabled   StateName = "disabled"
)

// State is derived from an account's record and facts, never stored. Until is
// zero where no time is known; Window is set with limited.
type State struct {
	Name   StateName
	Until  time.Time
	Window string
	Reason string
}

// Rotation is the setting of the same name.
type Rotation string

const (
	RotationDrain      Rotation = "drain"
	RotationSpread     Rotation = "spread"
	RotationRoundRobin Rotation = "round-robin"
)

// Query asks for an account. Only, when not nil, restricts the choice to these
// account ids (accountsForModel). Skip holds ids that this call must not use
// again.
type Query struct {
	Session  string
	Model    string
	Rotation Rotation
	Only     map[string]bool
	Skip     map[string]bool
}

// Choice is the answer to a Query. Account is "" when none is ready: then
// Soonest is when one will be (zero: no time is known), and Pinned says that
// only the pin stands in the way. Reason is for people.
type Choice struct {
	Account string
	Reason  string
	Pinned  bool
	Soonest time.Time
	Bound   bool // the session was bound to it already
}

// Candidate is one account's line in an explanation.
type Candidate struct {
	Account   string
	State     State
	Chosen    bool
	Score     float64
	Binding   *Window // the binding window
	Health    float64 // 0–100
	IdleFor   time.Duration
	Running   int // sessions using it now
	WhyNot    string
	Preferred bool
	Pinned    bool
}
