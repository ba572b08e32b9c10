package pool

import "time"

// Health is 100 less the strain that failures left. Only refusals of the
// account itself strain it; the network's and the server's faults never do
// (DESIGN 4).
const (
	strainPerFailure = 20.0
	reliefPerSuccess = 10.0
	reliefPerMinute  = 1.0
)

// HealthAt is the account's score, 0–100: 100 when nothing is known against it.
func (f *Facts) HealthAt(now time.Time) float64 { return 100 - f.strainNow(now) }

func (f *Facts) strainNow(now time.Time) float64 {
	if f.Strain == 0 {
		return 0
	}
	return min(max(f.Strain-reliefPerMinute*max(now.Sub(f.StrainAt), 0).Minutes(), 0), 100)
}

// strained gives the facts after a success or a failure at now.
func (f Facts) strained(e Event, now time.Time) Facts {
	strain := f.strainNow(now)
	switch {
	case e.Failure:
		strain = min(strain+strainPerFailure, 100)
	case e.Success && strain > 0:
		strain = max(strain-reliefPerSuccess, 0)
	default:
		return f
	}
	f.Strain, f.StrainAt = strain, now
	return f
}
