/* Runs a program some times and prints, for each run: wall time and CPU time in microseconds, peak
 * memory in KiB, wait status. What it prints about memory cannot be had from Python: a child's
 * ru_maxrss is never below what its parent had at the fork, and this program is tiny. */
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int run_once(char **argv) {
    struct rusage used;
    int status;
    long long began = now_us();
    pid_t pid = fork();
    if (pid < 0) return -1;
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (wait4(pid, &status, 0, &used) < 0) return -1;
    long long cpu = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL +
                    used.ru_utime.tv_usec + used.ru_stime.tv_usec;
    return printf("%lld %lld %ld %d\n", now_us() - began, cpu, used.ru_maxrss, status);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("usage: rusage RUNS PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    for (long runs = strtol(argv[1], NULL, 10); runs > 0; runs--)
        if (run_once(argv + 2) < 0) return 1;
    return 0;
}
