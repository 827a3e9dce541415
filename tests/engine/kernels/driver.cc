// Calls the library's functions for a test in another process: see Driven in tests/support/kernels.py.
//
// A static program of any Linux. It finds functions by name in its own symbol table, and hands over pointers and 64-bit
// integers alone, which travel alike whatever the function's parameters are.

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace {

constexpr int kArguments = 32;

// A file's bytes, never freed: it lives as long as the program.
uint8_t* whole(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END)) abort();
  long size = ftell(file);
  uint8_t* data = (uint8_t*)malloc(size);
  rewind(file);
  if (fread(data, 1, size, file) != (size_t)size) abort();
  fclose(file);
  return data;
}

uint64_t symbol(const uint8_t* image, const char* name) {
  const Elf64_Ehdr* head = (const Elf64_Ehdr*)image;
  const Elf64_Shdr* sections = (const Elf64_Shdr*)(image + head->e_shoff);
  for (int i = 0; i < head->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const Elf64_Sym* symbols = (const Elf64_Sym*)(image + sections[i].sh_offset);
    const char* names = (const char*)(image + sections[sections[i].sh_link].sh_offset);
    for (uint64_t j = 0; j < sections[i].sh_size / sizeof(Elf64_Sym); ++j)
      if (ELF64_ST_TYPE(symbols[j].st_info) == STT_FUNC && !strcmp(names + symbols[j].st_name, name))
        return symbols[j].st_value;
  }
  return 0;
}

template <class T>
T take() {
  T value;
  if (fread(&value, sizeof value, 1, stdin) != 1) exit(0);
  return value;
}

// Bytes of their own allocation, so that a checked malloc sees an access past their end.
uint8_t* take_block(int64_t size) {
  uint8_t* data = (uint8_t*)malloc(size + !size);
  if (size && fread(data, 1, size, stdin) != (size_t)size) exit(1);
  return data;
}

void give(const void* data, int64_t size) { fwrite(data, 1, size, stdout); }

void give_number(int64_t value) { give(&value, sizeof value); }

#define EIGHT(a, i) a[i], a[i + 1], a[i + 2], a[i + 3], a[i + 4], a[i + 5], a[i + 6], a[i + 7]

int64_t run(uint64_t address, const int64_t* a) {
  using Function = int64_t (*)(...);
  return ((Function)address)(EIGHT(a, 0), EIGHT(a, 8), EIGHT(a, 16), EIGHT(a, 24));
}

}  // namespace

int main(int, char** arguments) {
  const uint8_t* image = whole(arguments[0]);
  for (;;) {
    int64_t size = take<int64_t>();
    char* name = (char*)take_block(size);
    name = (char*)realloc(name, size + 1);
    name[size] = 0;
    int32_t text = take<int32_t>();
    int32_t count = take<int32_t>();
    int64_t values[kArguments] = {};
    int64_t sizes[kArguments];
    if (count > kArguments) abort();
    for (int i = 0; i < count; ++i) {
      sizes[i] = take<int64_t>();
      values[i] = sizes[i] < 0 ? take<int64_t>() : (int64_t)take_block(sizes[i]);
    }
    uint64_t address = symbol(image, name);
    give_number(address != 0);
    if (address) {
      int64_t result = run(address, values);
      const char* words = (const char*)result;
      int32_t number = (int32_t)result;
      int64_t length = text ? (int64_t)strlen(words) : (int64_t)sizeof number;
      give_number(length);
      give(text ? (const void*)words : &number, length);
    }
    for (int i = 0; i < count; ++i) {
      if (sizes[i] < 0) continue;
      if (address) give((void*)values[i], sizes[i]);
      free((void*)values[i]);
    }
    free(name);
    fflush(stdout);
  }
}
