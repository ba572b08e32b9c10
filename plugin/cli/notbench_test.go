//go:build !bench

package cli

// benchmarking is true in a build that measures: nothing then looks at processes
// beside what is measured.
const benchmarking = false
