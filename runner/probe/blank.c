// SPDX-License-Identifier: MIT
/*
 * blank.c - a library that does nothing, where the agent stands in a measured run.
 *
 * The loader's tables live in the target's heap and grow with every library, more so with one that has
 * thread-local storage; sizes of the target's blocks next to them can change by that alone. With this one in
 * bare runs, what differs comes from what the agent does, not from one library more.
 */
extern _Thread_local int blank_thread_local;
_Thread_local int blank_thread_local __attribute__((tls_model("initial-exec"), visibility("hidden")));

__attribute__((constructor)) static void use_it(void)
{
        blank_thread_local = 1;
}
