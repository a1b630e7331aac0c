/* Stands in for libnvidia-ml.so.1 in test_real_cards.py, so that NVIDIA's own Python binding is exercised without a card.
   The file named by NVML_CARDS is read at each call: first a line "driver ok" or "driver broken", then one line per card:
   uuid, name with _ for blanks, total MiB, used MiB, and ok, lost or mig. Some questions are left out on purpose, as
   drivers do. Layouts and codes: nvml.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, GPU_IS_LOST = 15, UNKNOWN = 999 };
typedef struct { char uuid[64], name[64], state[16]; unsigned long long total_mib, used_mib; } card;

static card cards[16];

static int count_cards(void) {
  char word[16] = "";
  FILE *file = fopen(getenv("NVML_CARDS"), "r");
  int count = 0;
  if (!file) return -1;
  if (fscanf(file, "driver %15s", word) != 1 || strcmp(word, "ok") != 0) { fclose(file); return -1; }
  while (count < 16 && fscanf(file, "%63s %63s %llu %llu %15s", cards[count].uuid, cards[count].name,
                              &cards[count].total_mib, &cards[count].used_mib, cards[count].state) == 5) {
    for (char *c = cards[count].name; *c; c++) if (*c == '_') *c = ' ';
    count++;
  }
  fclose(file);
  return count;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { return code == GPU_IS_LOST ? "GPU is lost" : "Unknown Error"; }
int nvmlSystemGetDriverVersion(char *out, unsigned length) { snprintf(out, length, "550.54.15"); return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *out) { int n = count_cards(); if (n < 0) return UNKNOWN; *out = n; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, card **out) {
  if (strcmp(cards[index].state, "lost") == 0) return GPU_IS_LOST;
  *out = &cards[index];
  return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(card *c, unsigned long long *out) {
  out[0] = c->total_mib << 20; out[2] = c->used_mib << 20; out[1] = out[0] - out[2];
  return SUCCESS;
}
int nvmlDeviceGetUUID(card *c, char *out, unsigned length) { snprintf(out, length, "%s", c->uuid); return SUCCESS; }
int nvmlDeviceGetName(card *c, char *out, unsigned length) { snprintf(out, length, "%s", c->name); return SUCCESS; }
int nvmlDeviceGetPowerManagementLimit(card *c, unsigned *out) { (void)c; *out = 72000; return SUCCESS; }
int nvmlDeviceGetPowerUsage(card *c, unsigned *out) { (void)c; *out = 16500; return SUCCESS; }
int nvmlDeviceGetMaxPcieLinkWidth(card *c, unsigned *out) { (void)c; *out = 16; return SUCCESS; }
int nvmlDeviceGetMaxPcieLinkGeneration(card *c, unsigned *out) { (void)c; *out = 4; return SUCCESS; }
int nvmlDeviceGetMaxClockInfo(card *c, unsigned type, unsigned *out) { (void)c; *out = type == 0 ? 2040 : 6251; return SUCCESS; }
int nvmlDeviceGetCudaComputeCapability(card *c, int *major, int *minor) { (void)c; *major = 8; *minor = 6; return SUCCESS; }
int nvmlDeviceGetPersistenceMode(card *c, unsigned *out) { (void)c; *out = 1; return SUCCESS; }
int nvmlDeviceGetDisplayMode(card *c, unsigned *out) { (void)c; (void)out; return NOT_SUPPORTED; }
int nvmlDeviceGetMigMode(card *c, unsigned *current, unsigned *pending) {
  *current = *pending = strcmp(c->state, "mig") == 0;
  return SUCCESS;
}
int nvmlDeviceGetTotalEccErrors(card *c, unsigned kind, unsigned counter, unsigned long long *out) {
  (void)c; (void)counter;
  *out = kind == 0 ? 7 : 1;
  return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(card *c, unsigned *out) { (void)c; out[0] = 41; out[1] = 7; return SUCCESS; }
int nvmlDeviceGetPciInfo_v3(card *c, char *out) {
  (void)c;
  snprintf(out, 16, "0000:3B:00.0");
  snprintf(out + 16 + 5 * 4, 32, "00000000:3B:00.0");
  return SUCCESS;
}
