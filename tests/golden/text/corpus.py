#!/usr/bin/env python3
"""Writes corpus.txt (a document a line, words of a Zipf distribution) and queries.txt."""
import random

random.seed(5)
syllables = "ka ro mi ta ne lu so pe vi da".split()
words = sorted({"".join(random.choice(syllables) for _ in range(random.randint(1, 4))) for _ in range(900)})
random.shuffle(words)
weights = [1 / (i + 2) for i in range(len(words))]
docs = []
for _ in range(3000):
    length = random.choice([1, 2, 3, 5, 8, 13, 21, 34, 55, 60, 90]) if random.random() < 0.9 else random.randint(100, 400)
    doc = random.choices(words, weights, k=length)
    if random.random() < 0.1:
        doc += doc[-3:] + doc[-3:]
    docs.append(" ".join(doc))
docs[17] = ""
with open("corpus.txt", "w") as out:
    out.write("\n".join(docs) + "\n")

queries = []
common, middle, rare = words[:8], words[30:60], words[300:700]
for w in common[:5] + middle[:5] + rare[:5] + ["nothing"]:
    queries.append("term " + w)
for i in range(25):
    pick = random.sample(common, random.randint(1, 3)) + random.sample(middle, random.randint(0, 3)) + random.sample(rare, random.randint(0, 3))
    random.shuffle(pick)
    queries.append("or " + " ".join(pick))
    queries.append("or2 " + " ".join(pick))
    queries.append("dismax " + " ".join(pick))
    queries.append("and " + " ".join(pick[:random.randint(2, 3)]))
for i in range(30):
    doc = random.choice([d for d in docs if len(d.split()) > 5]).split()
    at = random.randint(0, len(doc) - 4)
    n = random.randint(2, 4)
    queries.append("phrase " + " ".join(doc[at:at + n]))
    shuffled = doc[at:at + n]
    random.shuffle(shuffled)
    queries.append("slop%d " % random.randint(1, 6) + " ".join(shuffled))
for i in range(20):
    pick = random.sample(common, 2)
    queries.append("slop%d " % random.randint(1, 9) + " ".join(pick + random.choices(pick, k=1)))
    queries.append("slop%d " % random.randint(2, 9) + " ".join(pick))
    queries.append("phrase " + " ".join(pick))
    queries.append("phrase " + " ".join([pick[0]] * random.randint(2, 3)))
    queries.append("syn " + " ".join(pick + random.sample(rare, 1)))
    queries.append("multi " + " ".join(pick + random.sample(common, 1)))
for w in random.sample(words, 15):
    queries.append("fuzzy1 " + w)
    queries.append("fuzzy2 " + w)
    queries.append("prefix " + w[:3])
    queries.append("wild " + w[0] + "*" + w[-1] + "?" * (len(w) > 4))
    queries.append("wild *" + w[-3:])
    queries.append("regexp " + w[:2] + "(%s|ka).*" % w[2:4])
    queries.append("regexp [a-m]{2}" + w[-2:] + "+(ro)?.?")
    queries.append("regexp (..)?" + w[:2] + ".{2,4}")
    queries.append("range " + " ".join(sorted(random.sample(words, 2))))
queries += ["regexp .*", "regexp (ka|ro|mi){2}", "regexp [^k].[^r]*", "regexp ka|ro", "regexp kar?o*", "regexp \"ka\"ro@",
            "wild *", "wild k\\*", "fuzzy2 ka", "fuzzy1 k", "prefix zzz"]
with open("queries.txt", "w") as out:
    out.write("\n".join(queries) + "\n")
