#pragma once
#include <cstdint>

/// The few numbers of the SPIR-V specification (unified, version 1.6) that reflection meets.
namespace fabula::vk::spirv {

inline constexpr std::uint32_t kMagic = 0x07230203;

enum Op : std::uint32_t {
  kOpName = 5,
  kOpExtension = 10,
  kOpExecutionMode = 16,
  kOpCapability = 17,
  kOpTypeBool = 20,
  kOpTypeInt = 21,
  kOpTypeFloat = 22,
  kOpTypeVector = 23,
  kOpTypeMatrix = 24,
  kOpTypeImage = 25,
  kOpTypeSampledImage = 27,
  kOpTypeArray = 28,
  kOpTypeRuntimeArray = 29,
  kOpTypeStruct = 30,
  kOpTypePointer = 32,
  kOpConstantTrue = 41,
  kOpConstantFalse = 42,
  kOpConstant = 43,
  kOpConstantComposite = 44,
  kOpSpecConstantTrue = 48,
  kOpSpecConstantFalse = 49,
  kOpSpecConstant = 50,
  kOpSpecConstantComposite = 51,
  kOpSpecConstantOp = 52,
  kOpVariable = 59,
  kOpDecorate = 71,
  kOpMemberDecorate = 72,
  kOpExecutionModeId = 331,
  kOpTypeCooperativeMatrixKHR = 4456,
  kOpCooperativeMatrixLoadKHR = 4457,
  kOpCooperativeMatrixStoreKHR = 4458,
  kOpCooperativeMatrixMulAddKHR = 4459,
  kOpCooperativeMatrixLengthKHR = 4460,
  kOpTypeCooperativeMatrixNV = 5358,
  kOpCooperativeMatrixLoadNV = 5359,
  kOpCooperativeMatrixStoreNV = 5360,
  kOpCooperativeMatrixMulAddNV = 5361,
  kOpCooperativeMatrixLengthNV = 5362,
  // Inside OpSpecConstantOp:
  kOpUConvert = 113,
  kOpSConvert = 114,
  kOpBitcast = 124,
  kOpIAdd = 128,
  kOpISub = 130,
  kOpIMul = 132,
  kOpUDiv = 134,
  kOpSDiv = 135,
  kOpUMod = 137,
  kOpSRem = 138,
  kOpSMod = 139,
  kOpLogicalEqual = 164,
  kOpLogicalNotEqual = 165,
  kOpLogicalOr = 166,
  kOpLogicalAnd = 167,
  kOpLogicalNot = 168,
  kOpSelect = 169,
  kOpIEqual = 170,
  kOpINotEqual = 171,
  kOpUGreaterThan = 172,
  kOpSGreaterThan = 173,
  kOpUGreaterThanEqual = 174,
  kOpSGreaterThanEqual = 175,
  kOpULessThan = 176,
  kOpSLessThan = 177,
  kOpULessThanEqual = 178,
  kOpSLessThanEqual = 179,
  kOpShiftRightLogical = 194,
  kOpShiftRightArithmetic = 195,
  kOpShiftLeftLogical = 196,
  kOpBitwiseOr = 197,
  kOpBitwiseXor = 198,
  kOpBitwiseAnd = 199,
};

enum Decoration : std::uint32_t {
  kSpecId = 1,
  kBufferBlock = 3,
  kArrayStride = 6,
  kBuiltIn = 11,
  kNonWritable = 24,
  kNonReadable = 25,
  kBinding = 33,
  kDescriptorSet = 34,
  kOffset = 35,
};

/// What a KHR cooperative matrix is in a product, and how it lies in memory.
enum CooperativeMatrixUse : std::uint32_t { kMatrixA = 0, kMatrixB = 1, kMatrixAccumulator = 2 };
enum CooperativeMatrixLayout : std::uint32_t { kRowMajor = 0, kColumnMajor = 1 };

inline constexpr std::uint32_t kEncodingBFloat16KHR = 0;  ///< operand of OpTypeFloat

inline constexpr std::uint32_t kBuiltInWorkgroupSize = 25;
inline constexpr std::uint32_t kModeLocalSize = 17, kModeLocalSizeId = 38;
inline constexpr std::uint32_t kDimBuffer = 5;

enum StorageClass : std::uint32_t {
  kUniformConstant = 0,
  kInput = 1,
  kUniform = 2,
  kWorkgroup = 4,
  kPushConstant = 9,
  kStorageBuffer = 12,
};

enum Capability : std::uint32_t {
  kFloat16 = 9,
  kFloat64 = 10,
  kInt64 = 11,
  kInt16 = 22,
  kInt8 = 39,
  kGroupNonUniformVote = 62,
  kGroupNonUniformArithmetic = 63,
  kGroupNonUniformBallot = 64,
  kGroupNonUniformShuffle = 65,
  kGroupNonUniformShuffleRelative = 66,
  kGroupNonUniformClustered = 67,
  kGroupNonUniformQuad = 68,
  kStorageBuffer16BitAccess = 4433,
  kUniformAndStorageBuffer16BitAccess = 4434,
  kStoragePushConstant16 = 4435,
  kBFloat16TypeKHR = 5116,
  kBFloat16CooperativeMatrixKHR = 5118,
  kCooperativeMatrixNV = 5357,
  kCooperativeMatrixKHR = 6022,
};

}  // namespace fabula::vk::spirv
