/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edge_preload.c - preloaded into Kamailio 5.6: what it does to OpenSSL 3 and SQLite across its fork, made safe
 *
 * Three cures, each for a defect that ended the edge (a later Kamailio may need none of them):
 *
 * 1. The tls module initialises OpenSSL before it forks, with an allocator in shared memory. OpenSSL keeps its error
 *    queue and its random generators in thread-local slots, so after the fork all workers hold pointers to the same
 *    shared error queue, and two failing handshakes at once free the same strings. Here the child of every fork
 *    forgets the slots that it inherited; OpenSSL makes new ones at the first use. The old ones belong to the parent.
 * 2. Every process runs OPENSSL_cleanup when it ends, and each frees the same objects of that shared memory: a worker
 *    that ends breaks the heap of those that live, and the main process dies in its own clean-up or spins there.
 *    Here it does nothing: shared memory goes with its last process.
 * 3. db_sqlite opens its connections without a busy timeout: a worker that starts or asks while another process
 *    writes gets "database is locked" at once, and one that fails so at its start takes all of the edge down.
 *    Here every connection waits as long as the other parts of this system do.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#define MAX_SLOTS    64u       /* OpenSSL takes about ten of the first ones */
#define BUSY_MS      5000      /* of scripts/conclave_lib/users.py too */
#define SQLITE_LIB   "libsqlite3.so.0"
#define SQLITE_ERROR 1

struct sqlite3;
typedef int open_fn(const char *path, struct sqlite3 **db, int flags, const char *vfs);
typedef int busy_fn(struct sqlite3 *db, int ms);

void OPENSSL_cleanup(void);
open_fn sqlite3_open_v2;

static void on_child(void)
{
	for (pthread_key_t k = 0; k < MAX_SLOTS; k++)
		if (pthread_getspecific(k))
			(void)pthread_setspecific(k, NULL);
}

__attribute__((constructor)) static void edge_preload_init(void)
{
	(void)pthread_atfork(NULL, NULL, on_child);
}

void OPENSSL_cleanup(void)
{
}

int sqlite3_open_v2(const char *path, struct sqlite3 **db, int flags, const char *vfs)
{
	/* Kamailio loads its modules, and SQLite with them, out of the scope that RTLD_NEXT would search. */
	void *lib = dlopen(SQLITE_LIB, RTLD_NOW | RTLD_NOLOAD);
	open_fn *open_real = lib ? (open_fn *)dlsym(lib, "sqlite3_open_v2") : NULL;
	busy_fn *busy_timeout = lib ? (busy_fn *)dlsym(lib, "sqlite3_busy_timeout") : NULL;

	if (!open_real || !busy_timeout)
		return SQLITE_ERROR;

	int rc = open_real(path, db, flags, vfs);

	if (rc == 0)
		(void)busy_timeout(*db, BUSY_MS);
	return rc;
}
