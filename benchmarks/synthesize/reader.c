/* The floor: list a tree of experiments and read its params and metrics files, and do nothing.

   reader ROOT: for each folder in ROOT openat, getdents, and openat, read, close for each file whose
   name is params.json or begins with metrics_ and ends with .json. Prints how many bytes it read. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char buffer[1 << 20];

static long take(int folder, const char *name) {
  int file = openat(folder, name, O_RDONLY);
  long sum = 0, got;
  if (file < 0) return 0;
  while ((got = read(file, buffer, sizeof buffer)) > 0) sum += got;
  close(file);
  return sum;
}

static int wanted(const char *name) {
  size_t length = strlen(name);
  if (!strcmp(name, "params.json")) return 1;
  return !strncmp(name, "metrics_", 8) && length > 5 && !strcmp(name + length - 5, ".json");
}

int main(int count, char **words) {
  long bytes = 0, files = 0;
  DIR *root = count == 2 ? opendir(words[1]) : NULL;
  struct dirent *entry, *inner;
  if (!root) return 1;
  while ((entry = readdir(root))) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    int folder = openat(dirfd(root), entry->d_name, O_RDONLY | O_DIRECTORY);
    DIR *below = folder < 0 ? NULL : fdopendir(folder);
    if (!below) return 1;
    while ((inner = readdir(below)))
      if (wanted(inner->d_name)) bytes += take(folder, inner->d_name), files++;
    closedir(below);
  }
  printf("%ld files, %ld bytes\n", files, bytes);
  return 0;
}
