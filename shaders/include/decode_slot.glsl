// What a slot of a decoding session is made of, in words; src/base/decode_slot.hpp is this file too. Floats are kept as their bits.
#ifdef __cplusplus
#define WORD inline constexpr std::uint32_t
#define REAL inline constexpr float
#else
#define WORD const uint
#define REAL const float
#endif

// slots [S, kSlotWords]: a row a slot.
WORD kSlotWords = 32;
WORD kSlotToken = 0;        // the next input token ...
WORD kSlotPosition = 1;     // ... and where it stands, from 0
WORD kSlotLive = 2;         // 1: there is a text, and it goes on
WORD kSlotEnd = 3;          // most tokens in all, the prompt's included
WORD kSlotSeed = 4;         // two words, the low one first
WORD kSlotTemperature = 6;  // float; 0: always the likeliest token
WORD kSlotTopK = 7;         // 0: all
WORD kSlotTopP = 8;         // float; 1: all
WORD kSlotMinP = 9;         // float; 0: all
WORD kSlotRepetition = 10;  // float; 1: none
WORD kSlotPresence = 11;    // float; 0: none
WORD kSlotFrequency = 12;   // float; 0: none
WORD kSlotFlags = 13;       // kUsesCounts, kUsesBias
WORD kSlotTopN = 14;        // how many of the likeliest tokens are told, up to kMostTopN
WORD kSlotReason = 15;      // kReasonNone or why the text is over
WORD kSlotStops = 16;       // kMostStops tokens, kNoToken behind the last
WORD kSlotArrived = 24;     // workgroups of sample_tokens that are through with a row; 0 between passes

WORD kMostStops = 8;
WORD kMostTopN = 20;
WORD kNoToken = 0xFFFFFFFFu;

// Bits of kSlotFlags.
WORD kUsesCounts = 1;
WORD kUsesBias = 2;

// Values of kSlotReason.
WORD kReasonNone = 0;
WORD kReasonStop = 1;     // a stop token came
WORD kReasonLength = 2;   // it is as long as it may get
WORD kReasonNumeric = 3;  // no token had a finite log-probability

// places [1, N * kPlaceWords]: what a row of a pass belongs to.
WORD kPlaceWords = 4;
WORD kPlaceSlot = 0;
WORD kPlacePosition = 1;
WORD kPlaceLive = 2;   // 0: the row is nobody's
WORD kPlaceToken = 3;  // of a step: its token, kNoToken where the row is nobody's

// counts [S, V]: how often a token was generated, and whether it is in the prompt.
WORD kInPrompt = 0x80000000u;

// A token whose log-probability, with its bias and penalties, is as far from zero as this is never drawn: -kExcluded is the bias that
// rules one out.
REAL kExcluded = 1e30f;

// A temperature below this counts as 0.
REAL kLeastTemperature = 1e-6f;

// ring [S * K, kRingWords]: the token at `position` is in row slot * K + position % K.
WORD kRingWords = 48;
WORD kRingToken = 0;    // kNoToken where none could be drawn
WORD kRingLogProb = 1;  // the model's own, float
WORD kRingPosition = 2;
WORD kRingReason = 3;
WORD kRingVisited = 4;  // slots of the vocabulary that were looked at
WORD kRingTop = 8;      // pairs of a token and its log-probability, the likeliest first

// A draw is the first word of Philox of key seed and counter {the new token's position, 0, 0, kDrawStream}.
WORD kDrawStream = 0x73616D70u;
#undef WORD
#undef REAL
