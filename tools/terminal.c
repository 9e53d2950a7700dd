/* A secret that is typed: asked on the controlling terminal, whatever the standard streams are. */
#include "tools/passphrase.h"

#include "kv/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>

/* What arrived while the echo was off; it is sent again when the terminal is as it was. */
static volatile sig_atomic_t arrived;

static void on_signal(int signal_number)
{
	arrived = signal_number;
}

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
#define CAUGHT (sizeof caught / sizeof caught[0])

/* Reads to the end of the line, which is not kept. -EINTR: a signal. */
static int read_line(int tty, struct secret *secret)
{
	for (;;) {
		char c;
		ssize_t n = read(tty, &c, 1);
		if (arrived)
			return -EINTR;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 && !secret->len)
			return -ECANCELED;
		if (n == 0 || c == '\n')
			return 0;
		if (secret->len == PASSPHRASE_MAX)
			return -EFBIG;
		secret->data[secret->len++] = c;
	}
}

static int read_silently(int tty, struct secret *secret)
{
	struct termios before;
	if (tcgetattr(tty, &before) < 0)
		return -errno;
	struct sigaction catch = {.sa_handler = on_signal}, old[CAUGHT];
	arrived = 0;
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &catch, &old[i]);
	struct termios silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
	silent.c_lflag |= ECHONL | ICANON;
	silent.c_cc[VSUSP] = _POSIX_VDISABLE; /* a stop would leave the shell without echo */
	int r = tcsetattr(tty, TCSAFLUSH, &silent) < 0 ? -errno : read_line(tty, secret);
	tcsetattr(tty, TCSAFLUSH, &before);
	for (size_t i = 0; i < CAUGHT; i++)
		sigaction(caught[i], &old[i], NULL);
	if (arrived)
		raise(arrived);
	return r;
}

int secret_from_terminal(const char *prompt, struct secret *ret_secret)
{
	_cleanup_close_ int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		return -ENOTTY;
	_cleanup_passphrase_ struct secret secret = {0};
	int r = secret_alloc(&secret);
	if (r < 0)
		return r;
	if (dprintf(tty, "%s: ", prompt) < 0)
		return -ENOTTY;
	r = read_silently(tty, &secret);
	if (r < 0) {
		log_error("cannot read from the terminal: %s",
			r == -ECANCELED ? "it was closed" : strerror(-r));
		return r;
	}
	*ret_secret = secret;
	secret = (struct secret){0};
	return 0;
}
