// SPDX-License-Identifier: MIT
//
// goprof - writes a CPU profile and a heap profile of itself by Go's own runtime/pprof: cpu.out and heap.out in
// the folder given. Burn holds most of the CPU time, Keep holds the memory.
package main

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"
)

var kept [][]byte

//go:noinline
func Burn(d time.Duration) (n uint64) {
	for start := time.Now(); time.Since(start) < d; {
		for i := uint64(0); i < 1000000; i++ {
			n += i * i
		}
	}
	return n
}

//go:noinline
func Keep(n int) {
	for i := 0; i < n; i++ {
		kept = append(kept, make([]byte, 1<<20))
	}
}

func create(name string) *os.File {
	f, err := os.Create(filepath.Join(os.Args[1], name))
	if err != nil {
		panic(err)
	}
	return f
}

func main() {
	runtime.MemProfileRate = 1
	Keep(16)
	cpu := create("cpu.out")
	if err := pprof.StartCPUProfile(cpu); err != nil {
		panic(err)
	}
	Burn(300 * time.Millisecond)
	pprof.StopCPUProfile()
	cpu.Close()
	heap := create("heap.out")
	runtime.GC()
	if err := pprof.WriteHeapProfile(heap); err != nil {
		panic(err)
	}
	heap.Close()
	runtime.KeepAlive(kept)
}
