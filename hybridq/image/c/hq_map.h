/* Where the tensors of a network lie in its arena. */
#ifndef HQ_MAP_H
#define HQ_MAP_H

#include <stdint.h>

/* A test bench may define it, to count what each layer takes. */
#ifndef HQ_MARK
#define HQ_MARK(layer) ((void)0)
#endif

/* Row r lies at offset + r % kept * row_bytes: all rows are kept, or a ring of a few. */
typedef struct {
    uint32_t offset, rows, row_bytes, kept;
} hq_map;

static inline int8_t *hq_row(int8_t *arena, const hq_map *map, uint32_t row)
{
    return arena + map->offset + row % map->kept * map->row_bytes;
}

/* `count` rows from the first one on. Those outside the map are NULL: above it, `first` has wrapped around. */
static inline void hq_rows(int8_t *arena, const hq_map *map, uint32_t first, uint32_t count, const int8_t **rows)
{
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = first + i < map->rows ? hq_row(arena, map, first + i) : 0;
    }
}

#endif
