// SPDX-License-Identifier: MIT
/*
 * wire.c - whole pieces over the stream socket between runner and launch helper.
 */
#include "runner/launch/wire.h"

#include <errno.h>
#include <sys/socket.h>

bool pg_wire_receive(int fd, void *to, size_t n)
{
        for (char *p = to; n;) {
                ssize_t got = recv(fd, p, n, 0);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return false;
                p += got;
                n -= (size_t)got;
        }
        return true;
}

bool pg_wire_send(int fd, const void *from, size_t n)
{
        for (const char *p = from; n;) {
                ssize_t put = send(fd, p, n, MSG_NOSIGNAL);
                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0)
                        return false;
                p += put;
                n -= (size_t)put;
        }
        return true;
}
