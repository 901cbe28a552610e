// SPDX-License-Identifier: MIT
/*
 * remote_stack.c - process_vm_readv behind the question for more stack.
 */
#include "runner/engine/remote_stack.h"

#include <sys/mman.h>
#include <sys/uio.h>

enum {
        FIRST_BYTES = 16 << 10,
        PAGE = 4096,
        SWITCHES_MAX = 4, // more is no program but a walk gone astray
};

bool pg_remote_stack_init(struct pg_remote_stack *r)
{
        *r = (struct pg_remote_stack){ .pid = 0 };
        void *room = mmap(NULL, (size_t)PG_REMOTE_STACKS * PG_REMOTE_STACK_MAX, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (room == MAP_FAILED)
                return false;
        for (uint32_t i = 0; i < PG_REMOTE_STACKS; i++)
                r->copies[i] = (uint8_t *)room + (size_t)i * PG_REMOTE_STACK_MAX;
        return true;
}

void pg_remote_stack_deinit(struct pg_remote_stack *r)
{
        if (r->copies[0])
                munmap(r->copies[0], (size_t)PG_REMOTE_STACKS * PG_REMOTE_STACK_MAX);
        r->copies[0] = NULL;
}

/* As much of [address, address + n) as is there. A read that leaves what is mapped may fail as a whole. */
static size_t read_memory(pid_t pid, uint64_t address, void *to, size_t n)
{
        size_t done = 0;
        while (done < n) {
                uint64_t at = address + done;
                struct iovec local = { (uint8_t *)to + done, n - done };
                struct iovec remote = { (void *)(uintptr_t)at, n - done };
                ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
                if (got <= 0) { // up to the end of the page, then
                        size_t page = PAGE - at % PAGE;
                        local.iov_len = remote.iov_len = page < n - done ? page : n - done;
                        got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
                }
                if (got <= 0)
                        break;
                done += (size_t)got;
        }
        return done;
}

/* Reads on from hi until n bytes are there. */
static void extend(struct pg_remote_stack *r, uint64_t n)
{
        struct pg_stack *s = &r->stack;
        uint64_t have = s->hi - s->lo;
        if (n > PG_REMOTE_STACK_MAX)
                n = PG_REMOTE_STACK_MAX;
        if (n > have)
                s->hi += read_memory(r->pid, s->hi, r->copies[r->which] + have, n - have) & ~(uint64_t)7;
}

static void begin_at(struct pg_remote_stack *r, uint64_t address)
{
        struct pg_stack *s = &r->stack;
        s->lo = s->hi = address & ~(uint64_t)7;
        s->shift = (uint64_t)(uintptr_t)r->copies[r->which] - s->lo;
        extend(r, FIRST_BYTES);
}

/* The registers that a signal saved are still in the copy of the stack that is left. */
static void switch_to(struct pg_remote_stack *r, uint64_t address)
{
        r->which = (r->which + 1) % PG_REMOTE_STACKS;
        r->switches++;
        begin_at(r, address);
}

static bool covers(const struct pg_stack *s, uint64_t address)
{
        return address >= s->lo && s->hi - s->lo >= 8 && address - s->lo <= s->hi - s->lo - 8;
}

static bool more(struct pg_stack *s, uint64_t address)
{
        struct pg_remote_stack *r =
                (struct pg_remote_stack *)((char *)s - offsetof(struct pg_remote_stack, stack));
        if (address < s->lo || address - s->lo > PG_REMOTE_STACK_MAX - 8) {
                if (r->switches >= SWITCHES_MAX)
                        return false;
                switch_to(r, address);
        } else {
                uint64_t twice = 2 * (s->hi - s->lo), need = address - s->lo + 8;
                extend(r, twice > need ? twice : need);
        }
        return covers(s, address);
}

void pg_remote_stack_start(struct pg_remote_stack *r, pid_t pid, uint64_t sp)
{
        r->pid = pid;
        r->which = r->switches = 0;
        r->stack.more = more;
        begin_at(r, sp);
}

bool pg_remote_frame(pid_t pid, uint64_t frame_pointer, uint64_t ret[2])
{
        return read_memory(pid, frame_pointer, ret, 2 * sizeof(*ret)) == 2 * sizeof(*ret);
}
