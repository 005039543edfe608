/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edge_fork.c - preloaded into Kamailio 5.6: each of its processes gets OpenSSL state of its own
 *
 * Kamailio's tls module initialises OpenSSL 3 before it forks, with an allocator in shared memory. OpenSSL keeps
 * its error queue and its random generators in thread-local slots, so after the fork all workers hold pointers to
 * the same shared error queue, and two failing handshakes at once free the same strings: the edge dies. (Kamailio
 * 5.7 has a setting for it, 5.6 of Debian 12 has not.) Here the child of every fork forgets the slots that it
 * inherited; OpenSSL makes new ones at the first use. The old ones stay where they are: they belong to the parent.
 */
#include <pthread.h>
#include <stddef.h>

#define MAX_SLOTS 64u          /* OpenSSL takes about ten of the first ones */

static void on_child(void)
{
	for (pthread_key_t k = 0; k < MAX_SLOTS; k++)
		if (pthread_getspecific(k))
			(void)pthread_setspecific(k, NULL);
}

__attribute__((constructor)) static void edge_fork_init(void)
{
	(void)pthread_atfork(NULL, NULL, on_child);
}
