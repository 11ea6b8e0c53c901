#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>
typedef struct __sFILE FILE;
extern FILE *__stdinp, *__stdoutp, *__stderrp;
#define stdin __stdinp
#define stdout __stdoutp
#define stderr __stderrp
#define EOF (-1)
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#define BUFSIZ 1024
#define _IONBF 2
#define _IOLBF 1
int printf(const char *, ...) __attribute__((format(printf, 1, 2)));
int fprintf(FILE *, const char *, ...) __attribute__((format(printf, 2, 3)));
int snprintf(char *, size_t, const char *, ...) __attribute__((format(printf, 3, 4)));
int vprintf(const char *, va_list);
int vfprintf(FILE *, const char *, va_list);
int vsnprintf(char *, size_t, const char *, va_list);
int sscanf(const char *, const char *, ...);
int fscanf(FILE *, const char *, ...);
FILE *fopen(const char *, const char *);
FILE *fdopen(int, const char *);
int fclose(FILE *);
size_t fread(void *, size_t, size_t, FILE *);
size_t fwrite(const void *, size_t, size_t, FILE *);
int fflush(FILE *);
int ferror(FILE *);
void clearerr(FILE *);
int feof(FILE *);
int fseeko(FILE *, off_t, int);
off_t ftello(FILE *);
int fseek(FILE *, long, int);
long ftell(FILE *);
int fileno(FILE *);
int setvbuf(FILE *, char *, int, size_t);
char *fgets(char *, int, FILE *);
int fputs(const char *, FILE *);
int fputc(int, FILE *);
int getc(FILE *);
int getchar(void);
int putc(int, FILE *);
int putchar(int);
int puts(const char *);
void perror(const char *);
ssize_t getline(char **, size_t *, FILE *);
int remove(const char *);
int rename(const char *, const char *);
void flockfile(FILE *);
void funlockfile(FILE *);
