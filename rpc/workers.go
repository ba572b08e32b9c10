package rpc

import "runtime"

// maxWaiting is how many goroutines are kept for the next calls: a host has a few
// calls going at once, each of a few messages.
const maxWaiting = 4

// workers are the goroutines that the calls run on.
type workers struct {
	jobs    chan func()
	waiting chan struct{} // holds one for each that waits for a job
	ended   <-chan struct{}
}

// newWorkers gives none yet. Those that wait for a job go when ended is closed.
func newWorkers(ended <-chan struct{}) *workers {
	return &workers{jobs: make(chan func()), waiting: make(chan struct{}, maxWaiting), ended: ended}
}

// do has a goroutine work on job: one that waits, as its stack has grown already,
// or else a new one. Then it steps aside, so that the job begins on this thread
// and another thread is woken to go on here. The other way round the job would
// wait for a thread to wake, which takes longer than most jobs.
func (w *workers) do(job func()) {
	select {
	case w.jobs <- job:
	default:
		go w.work(job)
	}
	runtime.Gosched()
}

// work does one job, and more as long as it is one of the few that may wait.
func (w *workers) work(job func()) {
	for {
		job()
		select {
		case w.waiting <- struct{}{}:
		default:
			return
		}
		select {
		case job = <-w.jobs:
			<-w.waiting
		case <-w.ended:
			return
		}
	}
}
