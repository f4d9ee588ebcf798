/* The shopping list: items in order, in a file with a line for each, replaced whole at each change.
 */
#ifndef SLM_VOICE_SHOPPING_LIST_H
#define SLM_VOICE_SHOPPING_LIST_H

#include <stdbool.h>
#include <stddef.h>

enum { MOST_ITEMS = 100, ITEM_SIZE = 80 };

typedef struct shopping_list {
    char item[MOST_ITEMS][ITEM_SIZE];
    int n;
} shopping_list;

/* A file that is not there is an empty list. path NULL: in memory alone. */
bool shopping_read(shopping_list *list, const char *path, char *why, size_t why_size);
/* Either the old or the new list is in the file, whatever happens meanwhile. */
bool shopping_write(const shopping_list *list, const char *path);

/* False where the list is full. What is there already is not added again. */
bool shopping_add(shopping_list *list, const char *item);
/* False where there is none: an item of that name, or else the first that ends in it ("milk" takes
 * "two bottles of milk"). Capitals count for nothing. */
bool shopping_remove(shopping_list *list, const char *item);

#endif
