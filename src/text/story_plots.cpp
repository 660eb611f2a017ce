#include "text/story_grammar.hpp"

// The stories themselves, written for this project. Slots: {hero} {he} {him} {his} {himself}, {friend} {fhe} {fhim}
// {fhis}, {elder} ("her mom") {elder_call} ("Mom") {ehe} {ehim} {ehis}, {kind} {fkind} {place} {home} {toy} {color}
// {treat}.
namespace fabula::text {
namespace {

Plot lost_thing() {
  return {"lost_thing",
          Cast::kAnyone,
          {"spot", "finder_line"},
          {{"under a bush", "I saw something shiny under the bush"},
           {"behind a big rock", "I saw something behind the big rock"},
           {"high in a tree", "Look up! The wind took it into the tree"},
           {"in the long grass", "I stepped on something in the long grass"},
           {"next to the old bridge", "I passed the old bridge and saw it there"},
           {"inside an empty barrel", "Something is in that barrel"},
           {"at the bottom of the steps", "I saw it roll down the steps"},
           {"under a pile of leaves", "Let us look under the leaves"}},
          {"{one_day}, {hero} took {his} [best|favorite] {color} {toy} to the {place}. {He} [played with it all "
           "day|showed it to "
           "everyone|sang a song and looked at the birds]. But when it was time to go home, the {toy} was gone! {hero} "
           "was {sadly}.",
           "{He} looked [here and there|near the path|by the gate], but the {toy} was not there. {He} looked [near the "
           "water|around the flowers|behind the fence], but it was not there either. \"[Where is my {toy}|Where can it "
           "be]?\" {he} "
           "[asked|cried].",
           "Then {friend_intro} came by. \"Why are you sad, {hero}?\" {friend} asked. \"I lost my {toy},\" said "
           "{hero}. {friend} [thought for a moment|looked around]. \"{finder_line},\" {fhe} said. \"Come with me!\"",
           "They went together, and there was the {toy}, {spot}! {hero} {smiled}. {thanks} \"[You should always help a "
           "friend|Next time we will take good care of it],\" {friend} said.",
           "{ending}"}};
}

Plot learn_skill() {
  return {
      "learn_skill",
      Cast::kChildren,
      {"skill", "failure", "advice", "success"},
      {{"ride a bike", "{he} fell on the grass", "Look ahead and not at your feet",
        "{He} rode all the way down the road"},
       {"swim", "{he} swallowed some water", "Kick your legs and stay calm", "{He} swam from one side to the other"},
       {"fly a kite", "the kite fell down", "Wait for the wind, then run", "The kite flew higher than the trees"},
       {"bake bread", "the bread was as hard as a stone", "Be slow and let it rest", "The bread was soft and warm"},
       {"tie shoelaces", "the laces came loose", "Make two ears like a rabbit", "The knot did not come loose again"},
       {"whistle", "only air came out", "Make your lips small and round", "A clear sound came out, like a bird"},
       {"skate on the ice", "{he} sat down with a bump", "Bend your knees a little",
        "{He} made a big circle on the ice"},
       {"play the piano", "the song sounded wrong", "Play one hand first", "{He} played the whole song"},
       {"draw a horse", "it looked like a potato", "Start with simple shapes", "The horse looked ready to run"},
       {"read a whole book", "the words were too long", "Read one small word at a time", "{He} read to the last page"},
       {"jump rope", "the rope hit {his} feet", "Count and jump on every three", "{He} jumped twenty times"}},
      {"{hero} had one big wish. {He} wanted to learn how to {skill}. {one_day}, {he} tried for the first time, but "
       "{failure}. "
       "{He} tried again with {friend_intro}, and again {failure}.",
       "\"I can not do it,\" said {hero}. {He} was {sadly}. {Elder} sat down next to {him}. \"[Nobody can do it the "
       "first "
       "time|It was hard for me too when I was small|Every big thing starts small],\" {ehe} said. \"{advice}. And do "
       "not give "
       "up.\"",
       "So {hero} [practiced every day|tried again the next day|took a deep breath and tried once more]. [At first it "
       "was "
       "hard, but it got a little better each time.|{friend} came to watch and cheered.] Then it happened. "
       "{success}! \"I did it! I did it!\" {he} [shouted|called].",
       "{friend} saw it and said, \"Wow! Can you teach me how to {skill}?\" \"Yes,\" said {hero}. \"{advice}. And do "
       "not give "
       "up.\"",
       "{ending}"}};
}

Plot share_treat() {
  return {"share_treat",
          Cast::kAnyone,
          {"carrier", "reason"},
          {{"a little basket", "{fhe} had nothing to eat"},
           {"a paper bag", "{fhis} lunch fell into the mud"},
           {"a blue bowl", "{fhe} had walked a long way"},
           {"a small box", "{fhe} had forgotten {fhis} lunch"},
           {"a big bag", "{fhis} own food was all gone"},
           {"a round tin", "a bird had taken {fhis} bread"}},
          {"{one_day}, {elder} gave {hero} {carrier} full of {treat}. {hero} {smiled} and took it to the {place}. {He} "
           "sat down "
           "under a tree [and started to eat|to eat it all alone].",
           "Then {friend_intro} came along. {friend} was hungry because {reason}. \"May I have some, please?\" {fhe} "
           "asked. "
           "\"No,\" said {hero}. \"[They are all mine|I want to eat them all].\" {friend} [walked away with {fhis} "
           "head down|said "
           "nothing and sat down far away].",
           "{hero} took a bite, but [now the {treat} did not taste so good|something felt wrong in {his} heart]. {He} "
           "looked at "
           "{friend} and thought, \"How would I feel?\" {He} got up and ran to {friend}. \"I am sorry,\" {he} said. "
           "\"Let us share. "
           "Half for you and half for me.\"",
           "{friend} {smiled}. They ate together and [told funny stories|watched the clouds|laughed a lot]. The "
           "{treat} tasted "
           "better than ever. {hero} learned that [sharing makes two hearts happy|good things are better when we share "
           "them].",
           "{ending}"}};
}

Plot rescue_animal() {
  return {
      "rescue_animal",
      Cast::kAnyone,
      {"small", "trouble", "tool", "rescue"},
      {{"bird", "could not fly because its wing hurt", "a soft cloth", "They made a warm bed for it and gave it water"},
       {"duckling", "had lost its mother in the reeds", "some bread",
        "They followed the sound of quacking along the water"},
       {"kitten", "was stuck up in a tree", "a ladder",
        "They put it against the tree, and the kitten came down step by step"},
       {"snail", "was in the middle of the busy road", "a big leaf",
        "They let it climb on and carried it to the grass"},
       {"bee", "had fallen into the water", "a long stick",
        "They held it out, and the bee climbed on and dried its wings"},
       {"lamb", "was stuck in a thorny bush", "thick gloves", "They pulled the thorns away one by one"},
       {"mole", "could not find its hole", "a small lamp", "They walked slowly and found the hole near the roses"},
       {"chick", "had fallen out of its nest", "a basket", "They put it in and lifted it back to its nest"},
       {"puppy", "was shaking in the cold rain", "a warm blanket", "They wrapped it up and carried it inside"}},
      {"{one_day}, {hero} was walking near the {place} when {he} heard a [tiny|small|sad] sound. {He} looked down and "
       "saw a little "
       "{small}. The {small} {trouble}. \"[Oh no|Poor thing]!\" said {hero}. \"[Do not be afraid|I will help you].\"",
       "{hero} ran home as fast as {he} could. \"{elder_call}, {elder_call}!\" {he} called. \"A {small} needs help!\" "
       "{Elder} "
       "took {tool}, and they [hurried back|went back together]. {rescue}.",
       "[Soon|After a while], the little {small} felt better. It looked at {hero} [with bright eyes|for a long time], "
       "as if it "
       "wanted to say thank you. \"You have a [good|kind|big] heart,\" said {elder}. {hero} was {happily}.",
       "[The next day|A week later], the {small} came back to visit {him}. {hero} showed it to {friend_intro}. \"This "
       "is my new "
       "friend,\" {he} said. {friend} {smiled} and [waved at it|said hello].",
       "{ending}"}};
}

Plot afraid() {
  return {
      "afraid",
      Cast::kAnyone,
      {"fear", "sound", "truth", "brave"},
      {{"the dark", "Something moved near the window", "It was only a branch in the wind", "sleep without a light"},
       {"thunder", "A loud boom came from the sky", "The clouds are only clapping their hands",
        "watch the whole storm"},
       {"deep water", "A cold wave touched {his} feet", "The water can carry you like a bed", "float on {his} back"},
       {"the old house", "A door said creak", "It was only a sleepy cat", "walk through every room"},
       {"big dogs", "A deep bark came from behind the gate", "He barks because he wants to play",
        "throw a stick for the dog"},
       {"the cave", "A strange voice said hello, hello", "It was only your own voice coming back",
        "sing a song in the cave"},
       {"high places", "The wind shook the little bridge", "The bridge is strong and I hold your hand",
        "cross the bridge alone"},
       {"the night owl", "Two round eyes looked out of a tree", "She only wants to say good night",
        "say hello to the owl"}},
      {"But {hero} was afraid of one thing. {He} was afraid of {fear}. {one_day}, {friend_intro} asked, \"[Why do you "
       "hide|Why do "
       "you stay at home], {hero}?\" {hero} [looked at the ground|was quiet for a while]. \"I am scared of {fear},\" "
       "{he} "
       "[whispered|said softly].",
       "\"[I was scared too|Everyone is scared of something],\" said {friend}. \"Come, we will go and look together.\" "
       "They held "
       "on to each other and went. {sound}. {hero} [wanted to run away|closed {his} eyes|started to shake].",
       "\"Wait,\" said {friend}. \"Look again. {truth}.\" {hero} opened {his} eyes and looked. It was true! {He} began "
       "to laugh, "
       "and {friend} laughed too. [Now it was not so scary any more.|The fear became small, as small as a pea.]",
       "From then on, {hero} could {brave}. \"[Being brave does not mean that you are never afraid|You are only brave "
       "when you "
       "are a little bit scared],\" said {elder}. \"[I am proud of you|Well done].\"",
       "{ending}"}};
}

Plot tell_the_truth() {
  return {
      "tell_the_truth",
      Cast::kAnyone,
      {"thing", "broken", "repair"},
      {{"blue vase", "It fell and broke into five pieces", "They put the pieces together with glue"},
       {"garden lamp", "The glass cracked with a loud noise", "They bought a new glass at the shop"},
       {"wooden chair", "One leg came off", "They put the leg back with a nail"},
       {"big mirror", "A long crack ran across it", "They painted a flower over the crack"},
       {"old clock", "It stopped and did not tick any more", "They opened it and turned a tiny wheel"},
       {"honey jar", "All the honey ran over the floor", "They washed the floor until it was clean"},
       {"flower pot", "The dirt went everywhere", "They found a new pot and saved the flower"},
       {"tea cup", "The handle broke off", "They made it a little home for a plant"}},
      {"{Elder} had {a thing} that {ehe} liked very much. {one_day}, {hero} was running and jumping inside, and {he} "
       "bumped into "
       "the {thing}. {broken}. {hero} was [shocked|scared]. \"{elder_call} will be angry,\" {he} thought.",
       "{He} [hid|put a cloth over it and hid] behind the door. When {elder} came in, {ehe} asked, \"What happened to "
       "my "
       "{thing}?\" \"I do not know,\" said {hero}. \"Maybe [the wind did it|it was the cat].\" But {his} [tummy felt "
       "funny|face became hot], because it was not true.",
       "{hero} could not play and could not eat. {Friend_intro} said, \"[You should tell the truth|The truth makes "
       "your heart "
       "light].\" So {hero} went to {elder}. \"I broke the {thing},\" {he} said [with tears in {his} eyes|in a small "
       "voice]. \"I "
       "am so sorry.\"",
       "{Elder} [took {him} in {ehis} arms|was quiet and then smiled]. \"I am sad about the {thing}, but I am glad "
       "that you "
       "told me the truth,\" {ehe} said. \"Come, we will fix it.\" {repair}. {hero} felt [light|happy] again.",
       "{ending}"}};
}

Plot quarrel() {
  return {
      "quarrel",
      Cast::kAnyone,
      {"thing", "damage", "together"},
      {{"swing", "The rope broke", "pushed each other, one after the other"},
       {"wagon", "A wheel came off", "pulled it up the hill together and rode down"},
       {"sand castle", "The tower fell down", "built a bigger castle with two towers"},
       {"little boat", "The boat turned over", "dried the boat and let it sail again"},
       {"drum", "The drum got a hole", "made a new drum out of an old pot"},
       {"big box", "The box tore in two", "made two little houses out of the pieces"},
       {"snow hill", "The snow hill became flat", "made a snowman with a carrot nose"},
       {"red kite", "The tail of the kite tore off", "made a new tail out of ribbons"}},
      {"{one_day}, {hero} and {friend_intro} found {a thing} near the {place}. \"I saw it first!\" said {hero}. \"No, "
       "I saw it first!\" said {friend}. They both [pulled and pushed|shouted and pulled].",
       "Then there was a loud crack. {damage}! Now nobody could play with it. {hero} was angry at {friend}, and "
       "{friend} was "
       "angry at {hero}. They [sat down back to back|went away in different directions] and did not speak.",
       "[The sun moved across the sky.|A little bird began to sing.|It became very quiet.] {hero} felt lonely. \"The "
       "{thing} is "
       "not as important as my friend,\" {he} thought. {He} went to {friend} and said, \"I am sorry. I should not have "
       "shouted.\" "
       "\"I am sorry too,\" said {friend}.",
       "They [shook hands|hugged each other]. Then they {together}. It was much more fun than before. \"[Taking turns "
       "is better "
       "than fighting|Two can do more than one],\" said {friend}, and {hero} {smiled}.",
       "{ending}"}};
}

Plot gift() {
  return {"gift",
          Cast::kAnyone,
          {"occasion", "first", "gift", "how"},
          {{"It was the birthday of {friend_intro}", "gold ring", "crown of flowers",
            "picked daisies, poppies and blue bells and tied them in a circle"},
           {"{Friend_intro} was sick in bed", "big cake", "pot of soup", "cooked carrots, beans and rice in a pot"},
           {"{Friend_intro} was going to move to a new home", "fine clock", "book of pictures",
            "painted all the places where they had played"},
           {"It was the birthday of {friend_intro}", "new bike", "wooden bird",
            "found a piece of wood and made two wings and a beak"},
           {"{Friend_intro} was sick in bed", "huge balloon", "funny song",
            "wrote ten funny lines and practiced all night"},
           {"{Friend_intro} had helped {him} all winter", "silver bell", "warm scarf",
            "took soft wool and knitted row after row"},
           {"It was the birthday of {friend_intro}", "big drum", "string of shells",
            "walked along the shore and chose the best shells"}},
          {"{occasion}. {hero} wanted to give {friend} a [present|gift]. \"I will buy {a first},\" {he} said. {He} "
           "opened {his} "
           "little money box, but there [was only one coin|were only two coins] in it. {hero} was {sadly}.",
           "{Elder} saw {his} long face. \"What is wrong?\" {ehe} asked. \"I have no money for a present,\" said "
           "{hero}. \"[A "
           "good gift can not be bought|A present does not need money],\" said {elder}. \"The best thing is made with "
           "love.\"",
           "{hero} thought and thought. Then {he} had an idea! {He} {how}. It took [the whole afternoon|a long "
           "time|two days]. At "
           "last {he} had {a gift}. It was [not perfect, but it was pretty|beautiful].",
           "{hero} took the {gift} to {friend}. \"I made it for you,\" {he} said [shyly|softly]. {friend} {smiled}. "
           "\"You made it "
           "yourself? This is the best present I have ever had!\" {fhe} said.",
           "{ending}"}};
}

Plot mystery_box() {
  return {
      "mystery",
      Cast::kAnyone,
      {"found", "closed", "inside", "lesson"},
      {{"an old wooden box", "It had a rusty lock", "a music player that played a sweet tune",
        "Old things can still be full of joy"},
       {"a map on yellow paper", "A red line led to a big stone", "a chest full of colored marbles",
        "It is fun to follow a dream"},
       {"a tiny green door in a tree", "It was stuck", "a family of mice who had a tea party",
        "Knock before you open a door"},
       {"a bottle in the sand", "It had a cork in it", "a letter from a child far away",
        "You can have friends everywhere"},
       {"a big speckled egg", "It was warm and did not move", "a baby swan that said peep",
        "Be patient and good things come"},
       {"a little silver key", "It did not fit any door", "a secret garden full of roses", "Every key has its door"},
       {"a strange round stone", "It was heavy and gray", "crystals that shone like stars",
        "Look inside before you judge"},
       {"a trunk under the stairs", "It was covered with dust", "hats, masks and long coats from a circus",
        "Every house has its stories"}},
      {"{one_day}, {hero} found {found} near the {place}. {closed}. \"What can it be?\" {he} wondered. {He} [shook "
       "{his} head|looked at "
       "it from every side] and then ran to get {friend_intro}.",
       "\"Look what I found!\" said {hero}. {friend} [opened {fhis} eyes wide|was very curious]. \"[Maybe it is "
       "magic|Maybe it "
       "is a treasure],\" {fhe} said. They [tried and tried|thought about it for a long time|asked {elder} for help], "
       "and "
       "they did not give up.",
       "[Suddenly|At last], there was a soft click. They [held their breath|looked at each other]. And what did they "
       "see? There "
       "was {inside}! \"[How wonderful|How lovely]!\" cried {friend}. {hero} {smiled}.",
       "They [stayed there until evening|came back every day]. \"{lesson},\" said {elder} when {he} told {ehim} about "
       "it. {hero} "
       "[nodded|thought that {elder_call} was right].",
       "{ending}"}};
}

Plot rainy_day() {
  return {
      "rainy_day",
      Cast::kAnyone,
      {"plan", "weather", "game"},
      {{"have a picnic", "Big drops fell from the gray clouds",
        "built a tent out of blankets and had the picnic inside"},
       {"fly a kite", "The wind stopped and fog came", "made paper birds and let them fly indoors"},
       {"play ball", "It rained and rained", "put on boots and jumped in every puddle"},
       {"look for berries", "A storm shook the trees", "told stories about giants and ships"},
       {"go for a swim", "The air became cold and dark", "made warm soup and sang in the kitchen"},
       {"climb the hill", "Thick snow covered the path", "made a snow rabbit with long ears"},
       {"race to the bridge", "Hail jumped on the ground like peas", "played hide and seek until they were tired"}},
      {"{hero} had a plan. {He} wanted to {plan} with {friend_intro}. {He} had been waiting for it all week. But when "
       "{he} looked out in the morning, everything was different. {weather}.",
       "\"[It is not fair|This is the worst day],\" said {hero}. {He} was {sadly}. {friend} came in with wet feet. "
       "\"Now we can not "
       "{plan},\" said {hero}. \"[That is true|I know],\" said {friend}, \"but we can do something else. Let us make "
       "our own fun!\"",
       "So they {game}. {hero} laughed so much that {his} tummy hurt. [They forgot all about the weather.|Soon {he} "
       "did not think "
       "about the weather any more.]",
       "Later, [the sun came out and there was a rainbow|the clouds went away and the stars came out]. \"Now we can "
       "{plan},\" said "
       "{friend}. \"[Let us do it tomorrow|Not yet],\" said {hero}. \"I want to play our new game first!\"",
       "{ending}"}};
}

Plot garden() {
  return {
      "garden",
      Cast::kAnyone,
      {"seed", "danger", "result"},
      {{"sunflower", "A hungry snail came", "tall sunflower, as bright as the sun"},
       {"pumpkin", "A dry wind blew for days", "pumpkin, so big that two could sit on it"},
       {"bean", "The birds wanted to eat the seed", "bean plant that climbed up the wall"},
       {"apple", "The night was very cold", "small tree with one red apple"},
       {"rose", "A goat looked over the fence", "rose that smelled like honey"},
       {"melon", "The ground was hard and dry", "sweet melon with red inside"},
       {"tomato", "The heavy rain bent the stem", "plant full of round tomatoes"}},
      {"{one_day}, {elder} gave {hero} a tiny {seed} seed. \"Put it in the ground and take care of it,\" {ehe} said. "
       "{hero} dug a "
       "little hole, put the seed in and gave it water. Then {he} sat down and waited.",
       "Nothing happened. The next day {he} looked again, and nothing had happened. \"[It does not work|My seed is "
       "sleeping too "
       "long],\" {hero} said. {Friend_intro} said, \"[Dig it up and look|You can throw it away].\" But {elder} said, "
       "\"Be patient. "
       "[Good things need time|A seed is busy where you can not see it].\"",
       "So {hero} gave it water every day and [sang to it|told it stories]. Then came trouble. {danger}. {hero} [put a "
       "little fence "
       "around it|covered it with straw|stood by it and took care of it], and the seed was safe.",
       "One morning, {he} saw a small green leaf! It grew and grew. In the end there stood {a result}. \"You did "
       "this,\" said {elder}. "
       "{hero} {smiled} and showed it to {friend}. \"[I am sorry that I did not believe in it|It is wonderful],\" said "
       "{friend}.",
       "{ending}"}};
}

Plot lost_way() {
  return {
      "lost_way",
      Cast::kAnyone,
      {"lure", "helper", "guide"},
      {{"a blue butterfly", "an old turtle", "Follow the stream. It always runs down to the valley"},
       {"a shiny dragonfly", "a wise owl", "Walk toward the evening star"},
       {"the sound of music", "a friendly farmer", "Take the road with the white stones"},
       {"a white rabbit", "a gray donkey", "I know the way. You may sit on my back"},
       {"a floating balloon", "a woman with a basket", "Go left at the mill and you will see the church"},
       {"a row of ants", "a green frog", "Listen for the bell and walk to it"},
       {"a funny cloud", "a tall heron", "From up here I can see your home behind the hill"}},
      {"{one_day}, {elder} said, \"Do not go too far from home.\" But {hero} saw {lure} and wanted to follow it. {He} "
       "walked over the "
       "hill, past the {place}, and on and on. When {he} stopped, {he} did not know where {he} was.",
       "It was getting [dark|late], and {hero} was [afraid|cold and hungry]. \"Hello? Is anybody there?\" {he} called. "
       "Nobody "
       "answered. {He} sat down on a stone and [a tear rolled down {his} face|began to cry].",
       "Then {he} heard a voice. It was {helper}. \"[Why are you crying|What is the matter], little one?\" \"I am "
       "lost,\" said "
       "{hero}. \"I want to go home.\" \"[Do not worry|Dry your tears],\" said the voice. \"{guide}.\"",
       "{hero} said thank you and did just that. Soon {he} saw a light. {Elder} and {friend_intro} stood there with a "
       "lantern. \"We "
       "looked for you everywhere!\" {elder} said and hugged {him}. \"I am sorry,\" said {hero}. \"Next time I will "
       "[listen|ask first|stay near home].\"",
       "{ending}"}};
}

Plot race() {
  return {
      "race",
      Cast::kAnyone,
      {"contest", "accident", "prize"},
      {{"a race around the lake", "slipped on a wet stone", "a golden cup"},
       {"a race to the top of the hill", "stepped into a hole", "a big ribbon"},
       {"a boat race on the river", "got stuck in the reeds", "a small flag"},
       {"a sled race in the snow", "turned over in the deep snow", "a warm hat"},
       {"a jumping contest", "landed in a thorn bush", "a shiny medal"},
       {"a race through the forest", "fell over a root", "a basket of plums"}},
      {"{one_day}, there was {contest}. The winner would get {prize}. {hero} wanted to win more than anything. \"I am "
       "the fastest {kind} "
       "in the world,\" {he} said. {Friend_intro} only [smiled|shrugged] and said, \"Let us have fun.\"",
       "[One, two, three, go!|The bell rang and they were off!] {hero} was in front right away. {He} looked back and "
       "laughed. "
       "Everyone was far behind. But then {he} heard a cry. {friend} {accident}. \"Ouch!\" said {friend}. \"I can not "
       "get up.\"",
       "{hero} looked at the finish line. It was so near! Then {he} looked at {friend}. {hero} [turned around|stopped] "
       "and ran back. "
       "\"Hold on to me,\" {he} said. {He} helped {friend} up, and they went on together, slowly, step by step.",
       "They came in last. But everyone stood up and cheered for them. {Elder} was there too, and {ehe} gave them both "
       "{prize}. "
       "\"[A good friend is worth more than winning|Helping is the best way to win],\" {ehe} said. {hero} {smiled}.",
       "{ending}"}};
}

Plot too_much() {
  return {"too_much",
          Cast::kAnyone,
          {"warning", "where", "cure"},
          {{"Only two for you", "on the table", "a cup of mint tea"},
           {"They are for the party", "on the high shelf", "some warm water and a long nap"},
           {"Wait until dinner", "in the kitchen", "a warm cloth on {his} tummy"},
           {"We will share them with the neighbors", "in a big bowl", "a spoon of bitter medicine"},
           {"Leave some for winter", "in the cellar", "a day without sweet things"}},
          {"{hero} loved {treat} more than any other food. {one_day}, {elder} put a lot of {treat} {where}. "
           "\"{warning},\" {ehe} said and "
           "went out. {hero} looked at the {treat}. They smelled so good!",
           "\"Just one,\" {he} thought, and {he} ate one. \"Just one more,\" {he} thought, and {he} ate another. "
           "{Friend_intro} came in and "
           "said, \"[Stop, {hero}|Is that a good idea]?\" But {hero} did not listen. {He} ate and ate until [the plate "
           "was empty|there "
           "was nothing left].",
           "Then {his} tummy began to hurt. \"Ow, ow!\" {he} cried and lay down on the floor. {friend} ran to get "
           "{elder}. {Elder} "
           "looked at the empty plate and knew what had happened. {Ehe} was not angry. {Ehe} gave {him} {cure}.",
           "\"I am sorry,\" said {hero}. \"I should have listened to you.\" \"[A little is a treat, too much is a "
           "pain|Now you know "
           "why I said it],\" said {elder}. The next day, {hero} felt better. {He} [helped to make new {treat}|went to "
           "pick new "
           "{treat}] and gave the first one to {friend}.",
           "{ending}"}};
}

Plot new_friend() {
  return {
      "new_friend",
      Cast::kAnyone,
      {"difference", "mock", "gift_of"},
      {{"spoke with a strange sound", "talks in a funny way", "knew songs that nobody had ever heard"},
       {"wore very big glasses", "looks like a frog", "could see the smallest star in the sky"},
       {"was much smaller than the others", "is too small to play", "could climb into places where nobody else fit"},
       {"did not say a word", "is boring", "could draw anything in the world"},
       {"walked very slowly", "is too slow for us", "saw all the little things that the others ran past"},
       {"had spots on {fhis} nose", "looks like a strawberry", "told the funniest jokes"}},
      {"{one_day}, someone new came to the {place}. It was {a fkind} named {friend}. {friend} {difference} and sat all "
       "alone. The others "
       "[whispered|laughed]. \"{Fhe} {mock},\" they said.",
       "{hero} looked at {friend} and remembered [how {he} had been new once|how it feels to be alone]. {He} was a "
       "little shy, but "
       "{he} walked over. \"Hi, I am {hero}. Do you want to play with me?\" {he} asked.",
       "{friend} looked up. {Fhis} eyes [shone|became bright]. \"Yes, please,\" {fhe} said. They played [tag|hide and "
       "seek|with the "
       "{toy}|by the water] together. And then {hero} found out something. {friend} {gift_of}!",
       "The others came closer. \"Can we play too?\" they asked. \"[The more, the merrier|Of course]!\" said {friend}. "
       "{Elder} saw it "
       "and was proud. \"You looked with your heart,\" {ehe} said to {hero}.",
       "{ending}"}};
}

Plot moon_wish() {
  return {"moon_wish",
          Cast::kAnyone,
          {"wish", "trouble", "wise"},
          {{"be as big as a house", "{He} could not get in at {his} own door", "small is just right for me"},
           {"fly like a bird", "The wind blew {him} far over the sea", "my feet belong on the ground"},
           {"stay awake all night", "Everyone else was asleep and it was lonely", "the night is made for dreams"},
           {"have snow in summer", "The flowers froze and the bees were cold", "every season has its time"},
           {"eat only sweet things", "Even the soup and the bread tasted like sugar", "I want my mom's soup again"},
           {"be invisible", "Nobody could see {him} or play with {him}", "I want to be seen by my friends"},
           {"make everything turn gold", "{His} bed became hard and cold", "soft things are better than gold"}},
          {"One night, {hero} could not sleep. The [round|big|silver] moon looked in. \"Dear moon,\" {hero} whispered, "
           "\"I wish that I could "
           "{wish}.\" The moon [winked|shone a little brighter]. \"Are you sure?\" it asked. \"Yes!\" said {hero}.",
           "There was a [flash|soft wind|sparkle], and the wish came true! At first {hero} was {happily}. {He} showed "
           "it to {friend_intro}. "
           "\"[Amazing|Oh my]!\" said {friend}.",
           "But soon there was trouble. {trouble}. {hero} was {sadly}. \"What should I do, {friend}?\" {he} asked. "
           "\"[Talk to the moon "
           "again|Ask the moon to take it back],\" said {friend}.",
           "So {hero} waited until the moon came up. \"Dear moon,\" {he} said, \"please take my wish back. Now I know "
           "that {wise}.\" The moon "
           "smiled and took it back. [When {he} woke up, everything was as before.|{hero} hugged {friend} and felt "
           "like {himself} again.]",
           "{ending}"}};
}

Plot helper_day() {
  return {"helper_day",
          Cast::kAnyone,
          {"worker", "work", "problem", "reward"},
          {{"the baker", "bake bread for the town", "the oven is cold and there is no wood", "a warm roll with butter"},
           {"the old sailor", "paint my boat", "I can not reach the paint on the shelf", "a ride across the bay"},
           {"the gardener", "pick the ripe cherries", "the baskets are too heavy for me", "a bowl of cherries"},
           {"the shoemaker", "mend a hundred shoes", "I have lost my glasses", "a pair of red boots"},
           {"the beekeeper", "carry the honey home", "my cart is stuck in the mud", "a jar of golden honey"},
           {"the clown", "make the sick children laugh", "I can not find my red nose", "a free seat at the circus"}},
          {"{one_day}, {hero} and {friend_intro} met {worker}, who looked [tired|worried]. \"What is wrong?\" asked "
           "{hero}. \"I have to "
           "{work}, but {problem},\" said {worker}.",
           "\"We can help!\" said {hero}. \"[You are too small|It is hard work],\" said {worker}. \"[We are small, but "
           "we are strong "
           "together|Please let us try],\" said {friend}. So they started. {hero} [carried|pushed], and {friend} "
           "[pulled|lifted]. They "
           "[sang while they worked|did not stop until it was done].",
           "When the sun was low, everything was ready. {Worker} could not believe it. \"[You worked like ten men|I "
           "have never seen such "
           "good helpers],\" {worker} said and gave each of them {reward}.",
           "At home, {elder} asked, \"Why are you so dirty?\" {hero} told the whole story. \"[Many hands make light "
           "work|Little hands can do big "
           "things],\" said {elder} and smiled.",
           "{ending}"}};
}

}  // namespace

const std::vector<Plot>& story_plots() {
  static const std::vector<Plot> plots = {lost_thing(),     learn_skill(), share_treat(), rescue_animal(), afraid(),
                                          tell_the_truth(), quarrel(),     gift(),        mystery_box(),   rainy_day(),
                                          garden(),         lost_way(),    race(),        too_much(),      new_friend(),
                                          moon_wish(),      helper_day()};
  return plots;
}

}  // namespace fabula::text
