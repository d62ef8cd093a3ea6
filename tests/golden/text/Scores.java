/* Writes scores.txt: what Lucene answers to each line of queries.txt over corpus.txt with the
 * similarity of Elasticsearch, and some explanations. Run by ./generate. */
import java.io.*;
import java.nio.file.*;
import java.util.*;
import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.document.*;
import org.apache.lucene.index.*;
import org.apache.lucene.search.*;
import org.apache.lucene.search.similarities.*;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.apache.lucene.util.BytesRef;

public class Scores {
  /* Elasticsearch's LegacyBM25Similarity multiplies the boost by k1 + 1. */
  static class PerFieldSimilarity extends Similarity {
    final BM25Similarity inner = new BM25Similarity();
    @Override public long computeNorm(FieldInvertState state) { return inner.computeNorm(state); }
    @Override public SimScorer scorer(float boost, CollectionStatistics c, TermStatistics... t) {
      return inner.scorer(boost * (1 + inner.getK1()), c, t);
    }
  }

  static Query query(String line) {
    String[] w = line.split(" ");
    String kind = w[0];
    BooleanQuery.Builder bool = new BooleanQuery.Builder();
    PhraseQuery.Builder phrase = new PhraseQuery.Builder();
    MultiPhraseQuery.Builder multi = new MultiPhraseQuery.Builder();
    SynonymQuery.Builder synonyms = new SynonymQuery.Builder("f");
    List<Query> all = new ArrayList<>();
    for (int i = 1; i < w.length; i++) {
      Term term = new Term("f", w[i]);
      bool.add(new TermQuery(term), kind.equals("and") ? BooleanClause.Occur.MUST : BooleanClause.Occur.SHOULD);
      all.add(new TermQuery(term));
      phrase.add(term);
      synonyms.addTerm(term);
    }
    Term first = new Term("f", w[1]);
    if (kind.equals("or2")) bool.setMinimumNumberShouldMatch(2);
    if (kind.equals("term")) return all.get(0);
    if (kind.equals("or") || kind.equals("or2") || kind.equals("and")) return bool.build();
    if (kind.equals("dismax")) return new DisjunctionMaxQuery(all, 0.3f);
    if (kind.equals("phrase")) return phrase.build();
    if (kind.startsWith("slop")) return phrase.setSlop(Integer.parseInt(kind.substring(4))).build();
    if (kind.equals("syn")) return synonyms.build();
    if (kind.equals("multi")) {
      multi.add(new Term[] {first});
      multi.add(new Term[] {new Term("f", w[2]), new Term("f", w[3])});
      return multi.build();
    }
    if (kind.startsWith("fuzzy")) return new FuzzyQuery(first, Integer.parseInt(kind.substring(5)), 0, 10000, true,
        MultiTermQuery.CONSTANT_SCORE_REWRITE);
    if (kind.equals("prefix")) return new PrefixQuery(first);
    if (kind.equals("wild")) return new WildcardQuery(first);
    if (kind.equals("regexp")) return new RegexpQuery(first);
    if (kind.equals("range")) return new TermRangeQuery("f", new BytesRef(w[1]), new BytesRef(w[2]), true, false);
    throw new RuntimeException(line);
  }

  public static void main(String[] args) throws Exception {
    ByteBuffersDirectory dir = new ByteBuffersDirectory();
    IndexWriterConfig config = new IndexWriterConfig(new WhitespaceAnalyzer()).setSimilarity(new PerFieldSimilarity());
    try (IndexWriter writer = new IndexWriter(dir, config)) {
      for (String line : Files.readAllLines(Path.of("corpus.txt"))) {
        Document doc = new Document();
        doc.add(new TextField("f", line, Field.Store.NO));
        writer.addDocument(doc);
      }
      writer.forceMerge(1);
    }
    try (DirectoryReader reader = DirectoryReader.open(dir); PrintStream out = new PrintStream("scores.txt")) {
      IndexSearcher searcher = new IndexSearcher(reader);
      searcher.setSimilarity(new PerFieldSimilarity());
      int number = 0;
      for (String line : Files.readAllLines(Path.of("queries.txt"))) {
        Query query = query(line);
        TopDocs top = searcher.search(query, new TopScoreDocCollectorManager(30, null, 1000000, true));
        StringBuilder row = new StringBuilder(line + "\t" + top.totalHits.value);
        for (ScoreDoc hit : top.scoreDocs) row.append("\t").append(hit.doc).append(" ").append(hit.score);
        out.println(row);
        if (number++ % 7 == 0 && top.scoreDocs.length > 0)
          for (String e : searcher.explain(query, top.scoreDocs[0].doc).toString().split("\n"))
            out.println("#" + e);
      }
    }
  }
}
