/* A libcuda with two cards whose memory is the computer's; the second spoils what is written when SPOIL_CARD is set. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
static int current;
int cuInit(unsigned flags) { (void)flags; return getenv("NO_DRIVER") ? 100 : 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int number) { *device = current = number; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)(intptr_t)(device + 1); return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return 0; }
int cuCtxSetCurrent(void *context) { (void)context; return 0; }
int cuMemAlloc_v2(uint64_t *memory, size_t size) {
    if (getenv("CARDS_ARE_FULL")) return 2;
    *memory = (uint64_t)(uintptr_t)malloc(size);
    return *memory ? 0 : 2;
}
int cuMemFree_v2(uint64_t memory) { free((void *)(uintptr_t)memory); return 0; }
int cuMemsetD32_v2(uint64_t memory, unsigned value, size_t count) {
    unsigned *words = (unsigned *)(uintptr_t)memory;
    for (size_t i = 0; i < count; i++) words[i] = value;
    if (current == 1 && getenv("SPOIL_CARD")) words[count / 2] ^= 4;
    return 0;
}
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) { memcpy(to, (void *)(uintptr_t)from, size); return 0; }
