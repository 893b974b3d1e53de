/*
 * The worker thread and the key derivation that it mostly does.
 */
#include "xmppd/worker.h"

#include <sys/eventfd.h>
#include <sys/queue.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/crypto.h"
#include "common/jid.h"
#include "common/log.h"
#include "common/xmalloc.h"

struct job {
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
	STAILQ_ENTRY(job) next;
};

STAILQ_HEAD(job_list, job);

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job_list waiting, finished; /* under the lock */
	bool stop;                         /* under the lock */
	int fd;
	struct event *on_finished;
};

static void
worker_finish(struct worker *w, struct job *job)
{
	const uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	STAILQ_INSERT_TAIL(&w->finished, job, next);
	pthread_mutex_unlock(&w->lock);
	if (write(w->fd, &one, sizeof(one)) != sizeof(one))
		log_warn("worker: the main loop can't be woken");
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct job *job;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->stop && STAILQ_EMPTY(&w->waiting))
			pthread_cond_wait(&w->wake, &w->lock);
		if (w->stop)
			break;
		job = STAILQ_FIRST(&w->waiting);
		STAILQ_REMOVE_HEAD(&w->waiting, next);
		pthread_mutex_unlock(&w->lock);
		job->work(job->arg);
		worker_finish(w, job);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void
worker_reap(struct worker *w, struct job_list *from)
{
	struct job_list list = STAILQ_HEAD_INITIALIZER(list);
	struct job *job;

	pthread_mutex_lock(&w->lock);
	STAILQ_CONCAT(&list, from);
	pthread_mutex_unlock(&w->lock);
	while ((job = STAILQ_FIRST(&list)) != NULL) {
		STAILQ_REMOVE_HEAD(&list, next);
		job->done(job->arg);
		free(job);
	}
}

static void
worker_finished_cb(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) == sizeof(count))
		worker_reap(w, &w->finished);
}

struct worker *
worker_new(struct event_base *base)
{
	struct worker *w = xcalloc(1, sizeof(*w));

	STAILQ_INIT(&w->waiting);
	STAILQ_INIT(&w->finished);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->fd < 0)
		fatal("worker: eventfd");
	w->on_finished =
	    event_new(base, w->fd, EV_READ | EV_PERSIST, worker_finished_cb, w);
	event_add(w->on_finished, NULL);
	if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
		fatalx("worker: no thread");
	return w;
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	worker_reap(w, &w->finished);
	worker_reap(w, &w->waiting);
	event_free(w->on_finished);
	close(w->fd);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

void
worker_run(struct worker *w, void (*work)(void *arg), void (*done)(void *arg),
    void *arg)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->work = work;
	job->done = done;
	job->arg = arg;
	pthread_mutex_lock(&w->lock);
	STAILQ_INSERT_TAIL(&w->waiting, job, next);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

/* ---- SCRAM keys (RFC 5802, 3) ------------------------------------------ */

static void
hmac(const EVP_MD *md, const uint8_t *key, size_t len, const char *text,
    uint8_t *out)
{
	if (HMAC(md, key, (int)len, (const uint8_t *)text, strlen(text), out,
		NULL) == NULL)
		fatalx("scram: hmac failed");
}

/* SaltedPassword := Hi(); StoredKey := H(HMAC("Client Key")). */
static void
derive_key(const EVP_MD *md, const char *password, struct scram_key *k)
{
	size_t len = (size_t)EVP_MD_get_size(md);
	uint8_t salted[32], client[32];

	if (PKCS5_PBKDF2_HMAC(password, (int)strlen(password), k->salt,
		k->salt_len, (int)k->iterations, md, (int)len, salted) != 1)
		fatalx("scram: key derivation failed");
	hmac(md, salted, len, "Client Key", client);
	memset(k->stored_key, 0, sizeof(k->stored_key));
	memset(k->server_key, 0, sizeof(k->server_key));
	if (EVP_Digest(client, len, k->stored_key, NULL, md, NULL) != 1)
		fatalx("scram: digest failed");
	hmac(md, salted, len, "Server Key", k->server_key);
	crypto_wipe(salted, sizeof(salted));
	crypto_wipe(client, sizeof(client));
}

void
scram_derive_as(const char *password, const struct scram_keys *params,
    struct scram_keys *out)
{
	/* One that can't be prepared can't be the one that is kept. */
	char *prepared = jid_prep_password(password, false);
	const char *use = prepared != NULL ? prepared : password;

	*out = *params;
	if (params->sha1.iterations > 0)
		derive_key(EVP_sha1(), use, &out->sha1);
	if (params->sha256.iterations > 0)
		derive_key(EVP_sha256(), use, &out->sha256);
	crypto_wipe_free(prepared);
}

void
scram_derive(const char *password, struct scram_keys *out)
{
	struct scram_keys params;

	memset(&params, 0, sizeof(params));
	params.sha1.salt_len = params.sha256.salt_len = SCRAM_SALT;
	crypto_random(params.sha1.salt, SCRAM_SALT);
	crypto_random(params.sha256.salt, SCRAM_SALT);
	params.sha1.iterations = params.sha256.iterations = SCRAM_ITERATIONS;
	params.version = crypto_random_u64() >> 1;
	scram_derive_as(password, &params, out);
}
