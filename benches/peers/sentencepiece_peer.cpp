// Comments a CPU second of sentencepiece's own C++, as crates/nunchi-text/benches/tokenizers.rs measures ours:
//   apt-get install g++ libsentencepiece-dev
//   g++ -O3 -march=native -o sentencepiece_peer benches/peers/sentencepiece_peer.cpp -lsentencepiece
//   taskset -c 0 ./sentencepiece_peer DIR/sp.model DIR/shopping_dev DIR/movie_test
#include <sentencepiece_processor.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

static double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int count, char** arguments) {
  sentencepiece::SentencePieceProcessor processor;
  if (count < 3 || !processor.Load(arguments[1]).ok()) return 64;
  for (int file = 2; file < count; ++file) {
    std::ifstream stream(arguments[file]);
    std::vector<std::string> texts;
    for (std::string line; std::getline(stream, line);) texts.push_back(line);
    std::vector<double> seconds;
    size_t tokens = 0;
    for (int round = 0; round < 6; ++round) {
      tokens = 0;
      std::vector<int> ids;
      const double begin = cpu_seconds();
      for (const auto& text : texts) {
        processor.Encode(text, &ids).IgnoreError();
        tokens += ids.size();
      }
      seconds.push_back(cpu_seconds() - begin);
    }
    std::sort(seconds.begin() + 1, seconds.end());
    std::printf("{\"tokenizer\": \"sentencepiece, C++\", \"data\": \"%s\", \"comments_per_s\": %.0f, \"spread\": %.3f, "
                "\"tokens_per_comment\": %.2f}\n",
                arguments[file], texts.size() / seconds[3], (seconds[5] - seconds[1]) / seconds[3],
                double(tokens) / texts.size());
  }
}
