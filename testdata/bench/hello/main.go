// Command hello is the floor of every command: what starting a Go binary and
// printing a line costs on this machine.
package main

import "fmt"

func main() { fmt.Println("hello") }
