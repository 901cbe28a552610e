// SPDX-License-Identifier: MIT
/*
 * layout.h - the shared memory that the agent writes and the runner reads.
 *
 * One sparse memory file for each pass over a target. The runner creates it (memfd) before the start; every
 * process image of the tree maps the file's header and one slot of its own, through /proc/RUNNER/fd/N, and
 * closes the descriptor again. Counters have one writer each (or are atomic where they say so), so they are
 * exact, need no lock, and are complete at any instant: a process that is killed leaves what it counted.
 *
 *     file  = pg_file_header (one page), then n_slots slots of slot_size bytes
 *     slot  = pg_slot (one page) | modules | cells | site heads | site pool | journal | chunk area
 *
 * A slot is claimed once and never given back: fork and exec take a new one. A forked child that cannot map a
 * slot of its own goes on in its parent's, with the atomic cell, and the tree's sums stay exact.
 *
 * Everything here is written by code inside a foreign program: the reader (capture.h) checks each value.
 */
#ifndef PG_CAPTURE_LAYOUT_H
#define PG_CAPTURE_LAYOUT_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define PG_CAPTURE_MAGIC 0x3165746167667265ull // "erfgate1" in memory
enum { PG_CAPTURE_VERSION = 1 };

/* The agent's one variable: "fd=/proc/PID/fd/N,key=HEX16,mode=count|sample,rate=HZ,clock=event|timer" in any
 * order; clock is for tests. */
#define PG_AGENT_VARIABLE "PERFGATE_AGENT"

enum pg_capture_mode { PG_MODE_COUNT = 1, PG_MODE_SAMPLE = 2 };

enum {
        PG_CAPTURE_PAGE = 4096,
        PG_SLOTS_MAX = 16384,
        PG_PATH_MAX_BYTES = 1024, // longer paths are cut, with the last byte zero
        PG_MODULES_MAX = 256,
        PG_CELLS_MAX = 1024,  // threads alive at once with a cell of their own; others share the atomic cell
        PG_CELL_SITES = 128,  // direct-mapped cache of call sites in a cell; a power of two
        PG_SITE_HEADS = 1024, // hash chains of the site table; a power of two
        PG_SITES_MAX = 65536, // further sites are counted in [other]
        PG_CHUNK_BYTES = 16384, // a thread's piece of the sample log
        PG_CHUNKS_MAX = 4096,
        PG_JOURNAL_MAX = 4096, // programs that were started; more are only counted
        PG_JOURNAL_PATH = 488,
};

/* First page of the file. The runner writes all but the atomics before any target starts. */
struct pg_file_header {
        uint64_t magic;
        uint32_t version, header_bytes;
        uint64_t key; // equal to the one in PERFGATE_AGENT: a stale variable is not ours
        uint64_t slot_size;
        uint32_t n_slots;
        uint32_t mode; // enum pg_capture_mode
        uint32_t rate_hz;
        _Atomic uint32_t next_slot;       // slots claimed; may run past n_slots
        _Atomic uint32_t slots_refused;   // process images that found no free slot
        _Atomic uint32_t attach_failures; // forked children that went on in their parent's slot
};

enum pg_slot_state { PG_SLOT_FREE, PG_SLOT_RUNNING, PG_SLOT_EXECED, PG_SLOT_EXITED };

enum pg_disarm { // why an agent gave up measuring
        PG_DISARM_NONE,
        PG_DISARM_NO_SYMBOLS, // the real allocator was not found
        PG_DISARM_NO_SIGNAL,  // no free signal
        PG_DISARM_NO_TIMER,   // neither perf event nor timer could be had
        PG_DISARM_COUNT
};

/*
 * Journal: a program that this process image started, by exec (pid: its own, or its vfork child's) or by
 * posix_spawn, or through libc with an environment that lacks our variables (pid PG_STARTED_BARE). The reader
 * looks for the slot that the new image must have claimed; when there is none, the image ran without the
 * agent. Where libc does not tell the pid (PG_STARTED_BY_LIBC: system, popen), the program's file has to
 * answer.
 */
enum { PG_STARTED_BARE = 0, PG_STARTED_BY_LIBC = -1 };
struct pg_started {
        _Atomic uint32_t ready; // 1 when the entry is complete; 0 again when the exec failed
        int32_t pid;
        uint64_t time_ns; // CLOCK_MONOTONIC, before the start
        char path[PG_JOURNAL_PATH];
};

/* Head of a slot; atomics are shared by the process's threads. */
struct pg_slot {
        _Atomic uint32_t state; // enum pg_slot_state, written last when claiming
        int32_t pid, ppid;
        uint64_t start_ns;               // CLOCK_MONOTONIC
        _Atomic uint64_t end_ns;         // of an image that ended by exec
        _Atomic uint32_t disarm;         // enum pg_disarm
        uint32_t forked;                 // 1: by fork, inherits live heap; 0: by exec
        char program[PG_PATH_MAX_BYTES]; // /proc/self/exe

        /* Live heap, usable sizes. Exact while one thread allocates (then in its cell), within slack else. */
        uint64_t inherited_bytes;     // live heap that a forked child got from its parent
        _Atomic uint32_t multi;       // more than one cell was ever claimed
        _Atomic uint32_t n_threads;   // threads that ever claimed a cell
        _Atomic int64_t live_bytes;   // inherited, plus the sum of what cells have flushed
        _Atomic int64_t peak_bytes;   // highest live_bytes
        _Atomic uint64_t slack_bytes; // a cell flushes when its pending net change goes beyond this

        _Atomic uint32_t n_modules; // may run past PG_MODULES_MAX
        _Atomic uint32_t n_cells;   // may run past PG_CELLS_MAX
        _Atomic uint32_t n_sites;   // may run past PG_SITES_MAX
        _Atomic uint32_t n_chunks;  // may run past PG_CHUNKS_MAX
        _Atomic uint32_t n_started; // may run past PG_JOURNAL_MAX

        /* Sampling. */
        _Atomic uint64_t lost_samples;   // no chunk was free
        _Atomic uint64_t lost_weight_ns; // their weight
        _Atomic uint32_t threads_armed, threads_unarmed;
        _Atomic uint32_t threads_task_clock; // of the armed: by a task-clock event, the others by a CPU timer
        _Atomic uint32_t signal_taken_away;  // the target replaced our handler
};

/* A loaded file. A pc is recorded as (module, address relative to bias): immune to randomisation and
 * reloading. */
struct pg_module {
        _Atomic uint32_t ready; // 1 when the entry is complete
        uint32_t flags;         // PG_MODULE_*
        uint64_t start, end;    // mapped range when it was seen
        uint64_t bias;          // pc - bias is the address in the ELF file's own terms
        char path[PG_PATH_MAX_BYTES];
};
enum { PG_MODULE_MAIN = 1, PG_MODULE_VDSO = 2 };
enum { PG_MODULE_NONE = 0xffff }; // pc in no module; the address is then absolute

/* Place in code: module index in bits 48-63, address in bits 0-47. */
typedef uint64_t pg_place;
#define PG_PLACE(module, address) ((pg_place)(module) << 48 | ((uint64_t)(address)&0xffffffffffffull))
#define PG_PLACE_MODULE(place)    ((uint32_t)((place) >> 48))
#define PG_PLACE_ADDRESS(place)   ((place)&0xffffffffffffull)

/*
 * Counters of one thread: one writer, plain stores; only the first words are also looked at by other threads.
 * Cell 0 is the shared one, for threads without a cell and for what happened before attaching: any number of
 * writers, by atomic adds, no cached sites.
 *
 * Live heap: while the process has one cell it is "solo" and keeps the exact peak itself. When a second one
 * is claimed the first one's net goes into the slot's live_bytes (flushed_bytes says so), and from then on
 * each cell adds its change whenever net - flushed leaves [-slack, slack].
 */
struct pg_cell_site {
        uint64_t pc;    // raw return address of the call; 0 when empty
        pg_place place; // of pc, found when it came into the cache
        uint64_t allocations, bytes;
};
#define PG_NOT_FLUSHED INT64_MIN // flushed_bytes of a solo cell

struct pg_cell {
        alignas(64) _Atomic int32_t tid; // owner; 0 when free; stays when the thread ends
        _Atomic uint32_t solo;
        _Atomic int64_t net_bytes;     // usable bytes allocated minus freed by this thread, all time
        _Atomic int64_t flushed_bytes; // part of it that is in the slot's live_bytes
        uint64_t allocations;
        uint64_t allocated_bytes; // asked for
        uint64_t frees;
        int64_t slack_bytes;
        int64_t solo_peak_bytes; // highest net while solo
        alignas(64) struct pg_cell_site sites[PG_CELL_SITES];
};

/* Entry of the slot's site table: chained from heads by hash of place, never removed, counts added
 * atomically. Entry 0 is [other]: calls that found the table full, and those before attaching. */
struct pg_site_entry {
        _Atomic uint64_t place; // pg_place of the call's return address; written before it is linked
        _Atomic uint64_t allocations, bytes;
        _Atomic uint32_t next; // of the chain; 0 at the end (entry 0 is in no chain)
        uint32_t reserved;
};

/* The sample log: chunks, each filled by one thread; used grows after a record is complete. */
struct pg_chunk {
        _Atomic uint32_t ready; // 1 when claimed
        int32_t tid;
        _Atomic uint32_t used; // bytes of records behind this header
        uint32_t reserved;
};

/* One sample; n_frames places follow, innermost first. Room for stacks: the sampler of today writes one
 * frame. */
struct pg_sample_record {
        uint16_t bytes; // of header and frames, a multiple of 8
        uint8_t n_frames;
        uint8_t flags;
        uint32_t reserved;
        uint64_t weight_ns; // CPU time that this sample stands for
};

/* Where things are in a slot. */
enum {
        PG_OFFSET_MODULES = PG_CAPTURE_PAGE,
        PG_OFFSET_CELLS = PG_OFFSET_MODULES + PG_MODULES_MAX * (int)sizeof(struct pg_module),
        PG_OFFSET_HEADS = PG_OFFSET_CELLS + PG_CELLS_MAX * (int)sizeof(struct pg_cell),
        PG_OFFSET_SITES = PG_OFFSET_HEADS + PG_SITE_HEADS * (int)sizeof(uint32_t),
        PG_OFFSET_JOURNAL = PG_OFFSET_SITES + PG_SITES_MAX * (int)sizeof(struct pg_site_entry),
        PG_OFFSET_CHUNKS =
                (PG_OFFSET_JOURNAL + PG_JOURNAL_MAX * (int)sizeof(struct pg_started) + 4095) & ~4095,
        PG_SLOT_BYTES = PG_OFFSET_CHUNKS + PG_CHUNKS_MAX * PG_CHUNK_BYTES,
};

_Static_assert(sizeof(struct pg_file_header) <= PG_CAPTURE_PAGE, "the file header is one page");
_Static_assert(sizeof(struct pg_slot) <= PG_OFFSET_MODULES, "the slot's head fits in front of the modules");
_Static_assert(offsetof(struct pg_cell, sites) == 64 && sizeof(struct pg_cell_site) == 32,
               "an allocation writes two cache lines");
_Static_assert(sizeof(struct pg_started) == 504, "journal entries are words");
_Static_assert(sizeof(struct pg_sample_record) == 16, "records are words");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "counters are used in a signal handler");

#endif
