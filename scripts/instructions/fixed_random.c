/* Loaded before the program whose instructions are counted: numbers that are the same in each process. With random ones
   the seeds of hash tables, and so the collisions in them, would be others each time. Rust's standard library calls
   getrandom by its name so that this can be done. */
#include <stddef.h>
#include <string.h>
#include <sys/types.h>

ssize_t getrandom(void *buffer, size_t length, unsigned int flags) {
    (void)flags;
    memset(buffer, 0x5a, length);
    return (ssize_t)length;
}
