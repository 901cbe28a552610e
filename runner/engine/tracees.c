// SPDX-License-Identifier: MIT
/*
 * tracees.c - a list of pointers for walking, buckets by number for finding.
 */
#include "runner/engine/tracees.h"

#include <stdlib.h>

#include "runner/base/cleanup.h"

static struct pg_traced_thread **bucket_of(struct pg_tracees *s, pid_t tid)
{
        return &s->buckets[(unsigned)tid % PG_TRACEE_BUCKETS];
}

struct pg_traced_thread *pg_tracees_find(const struct pg_tracees *s, pid_t tid)
{
        struct pg_traced_thread *t = s->buckets[(unsigned)tid % PG_TRACEE_BUCKETS];
        while (t && t->tid != tid)
                t = t->next;
        return t;
}

struct pg_traced_process *pg_tracees_find_process(const struct pg_tracees *s, pid_t pid)
{
        for (size_t i = 0; i < s->n_processes; i++)
                if (s->processes[i]->pid == pid)
                        return s->processes[i];
        return NULL;
}

/* Room for one more pointer. */
static bool grow(void *list, size_t n, size_t *room)
{
        void **p;
        if (n < *room)
                return true;
        size_t more = *room ? 2 * *room : 64;
        p = reallocarray(*(void **)list, more, sizeof(void *));
        if (!p)
                return false;
        *(void **)list = p;
        *room = more;
        return true;
}

static struct pg_traced_process *add_process(struct pg_tracees *s, pid_t pid)
{
        if (!grow(&s->processes, s->n_processes, &s->process_room))
                return NULL;
        struct pg_traced_process *p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        p->pid = pid;
        s->processes[s->n_processes++] = p;
        return p;
}

static void remove_process(struct pg_tracees *s, struct pg_traced_process *p)
{
        for (size_t i = 0; i < s->n_processes; i++)
                if (s->processes[i] == p)
                        s->processes[i] = s->processes[--s->n_processes];
        free(p);
}

static void link_thread(struct pg_tracees *s, struct pg_traced_thread *t)
{
        struct pg_traced_thread **bucket = bucket_of(s, t->tid);
        t->next = *bucket;
        *bucket = t;
}

static void unlink_thread(struct pg_tracees *s, struct pg_traced_thread *t)
{
        struct pg_traced_thread **at = bucket_of(s, t->tid);
        while (*at != t)
                at = &(*at)->next;
        *at = t->next;
}

struct pg_traced_thread *pg_tracees_add(struct pg_tracees *s, pid_t pid, pid_t tid)
{
        if (!grow(&s->threads, s->n_threads, &s->room))
                return NULL;
        struct pg_traced_thread *t = calloc(1, sizeof(*t));
        if (!t)
                return NULL;
        t->process = pg_tracees_find_process(s, pid);
        if (!t->process && !(t->process = add_process(s, pid))) {
                free(t);
                return NULL;
        }
        t->tid = tid;
        t->clock = pg_task_clock_open(pid, tid);
        t->look_at_ns = PG_NEVER_NS;
        t->index = s->n_threads;
        t->process->n_threads++;
        t->process->threads_seen++;
        s->threads[s->n_threads++] = t;
        link_thread(s, t);
        return t;
}

void pg_tracees_remove(struct pg_tracees *s, struct pg_traced_thread *t)
{
        unlink_thread(s, t);
        s->threads[t->index] = s->threads[--s->n_threads];
        s->threads[t->index]->index = t->index;
        t->process->n_idle -= t->idle;
        if (--t->process->n_threads == 0)
                remove_process(s, t->process);
        pg_closep(&t->clock);
        free(t);
}

void pg_tracees_become_first(struct pg_tracees *s, struct pg_traced_thread *t)
{
        pid_t pid = t->process->pid;
        if (t->tid != pid) {
                struct pg_traced_thread *old = pg_tracees_find(s, pid);
                if (old)
                        pg_tracees_remove(s, old); // t is left, so the process stays
                unlink_thread(s, t);
                t->tid = pid;
                link_thread(s, t);
        }
        pg_closep(&t->clock);
        t->clock = pg_task_clock_open(pid, pid);
}

void pg_tracees_deinit(struct pg_tracees *s)
{
        while (s->n_threads)
                pg_tracees_remove(s, s->threads[s->n_threads - 1]);
        free(s->threads);
        free(s->processes);
        *s = (struct pg_tracees){ 0 };
}
