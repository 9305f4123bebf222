/* The copies that compilers call by themselves, under the names of C and of Arm's run-time ABI. */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *to, int value, size_t count);

/* The empty statements keep compilers from making a call of the function out of its own loop. */

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    for (; count >= 4; count -= 4, t += 4, f += 4) {
        uint32_t word;
        __builtin_memcpy(&word, f, sizeof word);
        __builtin_memcpy(t, &word, sizeof word);
        __asm__ volatile("" ::: "memory");
    }
    for (; count > 0; count--) {
        *t++ = *f++;
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

void *memmove(void *to, const void *from, size_t count)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((uintptr_t)to - (uintptr_t)from >= count) { /* to is not inside what is copied */
        return memcpy(to, from, count);
    }
    while (count-- > 0) {
        t[count] = f[count];
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

void *memset(void *to, int value, size_t count)
{
    const uint32_t word = (uint8_t)value * 0x01010101u;
    uint8_t *t = to;
    for (; count >= 4; count -= 4, t += 4) {
        __builtin_memcpy(t, &word, sizeof word);
        __asm__ volatile("" ::: "memory");
    }
    for (; count > 0; count--) {
        *t++ = (uint8_t)value;
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

#define ALIAS(name, of) __attribute__((alias(#of))) void *name(void *to, const void *from, size_t count);
ALIAS(__aeabi_memcpy, memcpy)
ALIAS(__aeabi_memcpy4, memcpy)
ALIAS(__aeabi_memcpy8, memcpy)
ALIAS(__aeabi_memmove, memmove)
ALIAS(__aeabi_memmove4, memmove)
ALIAS(__aeabi_memmove8, memmove)

void __aeabi_memset(void *to, size_t count, int value);
void __aeabi_memset(void *to, size_t count, int value)
{
    memset(to, value, count);
}
__attribute__((alias("__aeabi_memset"))) void __aeabi_memset4(void *to, size_t count, int value);
__attribute__((alias("__aeabi_memset"))) void __aeabi_memset8(void *to, size_t count, int value);

void __aeabi_memclr(void *to, size_t count);
void __aeabi_memclr(void *to, size_t count)
{
    memset(to, 0, count);
}
__attribute__((alias("__aeabi_memclr"))) void __aeabi_memclr4(void *to, size_t count);
__attribute__((alias("__aeabi_memclr"))) void __aeabi_memclr8(void *to, size_t count);
