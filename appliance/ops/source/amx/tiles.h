// Tiles of AMX and their configuration.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace appliance::ops::amx {

inline constexpr std::size_t kTileRows = 16;
inline constexpr std::size_t kTileBytes = 64;  // of a row of a tile

// Intel's Software Developer's Manual, volume 1, 18.2: palette 1.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  void set(int tile, std::size_t tile_rows, std::size_t bytes) {
    rows[tile] = static_cast<std::uint8_t>(tile_rows);
    row_bytes[tile] = static_cast<std::uint16_t>(bytes);
  }

  // Not the intrinsic: GCC 12 does not see that it reads the memory.
  void load() const { __asm__ volatile("ldtilecfg %0" : : "m"(*this)); }
};

}  // namespace appliance::ops::amx
