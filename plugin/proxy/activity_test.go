package proxy

import (
	"testing"
	"testing/synctest"
	"time"
)

func ended(idle <-chan struct{}) bool {
	select {
	case <-idle:
		return true
	default:
		return false
	}
}

func TestActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a activity
		idle := a.watch(IdleLimit)
		defer a.close()
		step := func(d time.Duration, want bool) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if ended(idle) != want {
				t.Fatalf("idle is %v", !want)
			}
		}
		step(IdleLimit-time.Second, false)
		a.begin() // a request starts the wait anew
		a.end()
		step(IdleLimit-time.Second, false)
		a.begin()
		a.begin()
		step(5*time.Hour, false) // an answer may take as long as it takes
		a.end()
		step(5*time.Hour, false)
		a.end()
		step(IdleLimit-time.Second, false)
		step(2*time.Second, true)
		a.begin() // one that came at the last moment harms nothing
		a.end()
		step(2*IdleLimit, true)
	})
}
