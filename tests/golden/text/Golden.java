/* Writes analysis.txt: what Lucene makes of each text of texts.txt with each analyzer of analyzers.txt.
 * Run by ./generate. */
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import org.apache.lucene.analysis.*;
import org.apache.lucene.analysis.charfilter.*;
import org.apache.lucene.analysis.core.*;
import org.apache.lucene.analysis.custom.CustomAnalyzer;
import org.apache.lucene.analysis.standard.*;
import org.apache.lucene.analysis.synonym.*;
import org.apache.lucene.analysis.tokenattributes.*;

public class Golden {
  static String RULES = "dns, domain name system\nny, new york, nyc\ntv => television, tele vision\n"
      + "wi fi => wireless\nquick, fast\ndog => hound, big dog\n";

  static SynonymMap map(String rules, Analyzer analyzer) throws Exception {
    SolrSynonymParser parser = new SolrSynonymParser(true, true, analyzer);
    parser.parse(new StringReader(rules));
    return parser.build();
  }

  static Analyzer special(String name) throws Exception {
    Analyzer lower = CustomAnalyzer.builder().withTokenizer("whitespace").addTokenFilter("lowercase").build();
    Analyzer stop = CustomAnalyzer.builder().withTokenizer("standard").addTokenFilter("lowercase")
        .addTokenFilter("stop").build();
    SynonymMap rules = map(RULES, lower);
    SynonymMap stopped = map("quick fox, speedy\ndog => hound\n", stop);
    NormalizeCharMap.Builder one = new NormalizeCharMap.Builder();
    one.add(":)", "_happy_"); one.add("ph", "f"); one.add("quick", "q"); one.add("å", "aa");
    NormalizeCharMap.Builder two = new NormalizeCharMap.Builder();
    two.add("&", "and"); two.add("ß", "ss");
    NormalizeCharMap mapOne = one.build(), mapTwo = two.build();
    return new Analyzer() {
      @Override protected Reader initReader(String field, Reader reader) {
        if (name.equals("mapping")) return new MappingCharFilter(mapOne, reader);
        if (name.equals("twochars")) return new MappingCharFilter(mapTwo, new HTMLStripCharFilter(reader));
        return reader;
      }
      @Override protected TokenStreamComponents createComponents(String field) {
        if (name.equals("twochars")) return new TokenStreamComponents(new StandardTokenizer());
        Tokenizer t = name.equals("synstop") ? new StandardTokenizer() : new WhitespaceTokenizer();
        if (name.equals("mapping")) return new TokenStreamComponents(t);
        TokenStream s = new org.apache.lucene.analysis.LowerCaseFilter(t);
        if (name.equals("syngraph")) s = new SynonymGraphFilter(s, rules, true);
        if (name.equals("syn")) s = new SynonymFilter(s, rules, true);
        if (name.equals("synstop"))
          s = new SynonymGraphFilter(new org.apache.lucene.analysis.StopFilter(s, org.apache.lucene.analysis.en.EnglishAnalyzer.ENGLISH_STOP_WORDS_SET), stopped, true);
        return new TokenStreamComponents(t, s);
      }
    };
  }

  static Analyzer make(String spec) throws Exception {
    if (spec.startsWith("class:"))
      return (Analyzer) Class.forName(spec.substring(6)).getConstructor().newInstance();
    if (spec.startsWith("special:")) return special(spec.substring(8));
    CustomAnalyzer.Builder b = CustomAnalyzer.builder();
    for (String part : spec.split(" \\| ")) {
      String[] words = part.trim().split(" ");
      Map<String, String> p = new HashMap<>();
      for (int i = 1; i < words.length; i++) {
        int eq = words[i].indexOf('=');
        p.put(words[i].substring(0, eq), words[i].substring(eq + 1).replace('~', ' '));
      }
      String name = words[0].substring(words[0].indexOf(':') + 1);
      if (name.equals("uax29urlemail")) name = "uax29UrlEmail";
      if (part.trim().startsWith("char:")) b.addCharFilter(name, p);
      else if (part.trim().startsWith("tok:")) b.withTokenizer(name, p);
      else b.addTokenFilter(name, p);
    }
    return b.build();
  }

  static String quote(String s) {
    StringBuilder b = new StringBuilder("\"");
    for (char c : s.toCharArray()) {
      if (c == '"' || c == '\\') b.append('\\').append(c);
      else if (c < 32 || (c >= 0xD800 && c < 0xE000)) b.append(String.format("\\u%04x", (int) c));
      else b.append(c);
    }
    return b.append('"').toString();
  }

  static String unquote(String s) {
    StringBuilder b = new StringBuilder();
    for (int i = 1; i < s.length() - 1; i++) {
      char c = s.charAt(i);
      if (c != '\\') { b.append(c); continue; }
      c = s.charAt(++i);
      if (c == 'u') { b.append((char) Integer.parseInt(s.substring(i + 1, i + 5), 16)); i += 4; }
      else b.append(c == 'n' ? '\n' : c == 't' ? '\t' : c);
    }
    return b.toString();
  }

  public static void main(String[] args) throws Exception {
    List<String> texts = Files.readAllLines(Path.of("texts.txt"), StandardCharsets.UTF_8);
    PrintStream out = new PrintStream(new FileOutputStream("analysis.txt"), false, "UTF-8");
    for (String line : Files.readAllLines(Path.of("analyzers.txt"), StandardCharsets.UTF_8)) {
      if (line.startsWith("#")) continue;
      String[] columns = line.split("\t");
      Analyzer analyzer = make(columns[1]);
      for (int t = 0; t < texts.size(); t++) {
        boolean stems = columns[1].contains("stem") || columns[1].contains("snowball");
        boolean language = columns[1].startsWith("class:");
        int length = texts.get(t).length();
        if (length > 900 && !stems) continue; // made-up words are for stemmers
        if (length < 60 && t > 60 && (stems || language) && !columns[0].equals("standard")) continue;
        StringBuilder row = new StringBuilder(columns[0] + "\t" + t + "\t[");
        try (TokenStream s = analyzer.tokenStream("f", unquote(texts.get(t)))) {
          CharTermAttribute term = s.addAttribute(CharTermAttribute.class);
          OffsetAttribute offset = s.addAttribute(OffsetAttribute.class);
          PositionIncrementAttribute inc = s.addAttribute(PositionIncrementAttribute.class);
          PositionLengthAttribute len = s.addAttribute(PositionLengthAttribute.class);
          TypeAttribute type = s.addAttribute(TypeAttribute.class);
          s.reset();
          int position = -1;
          boolean first = true;
          while (s.incrementToken()) {
            position += inc.getPositionIncrement();
            if (!first) row.append(',');
            first = false;
            row.append('[').append(quote(term.toString())).append(',').append(offset.startOffset()).append(',')
                .append(offset.endOffset()).append(',').append(position).append(',').append(len.getPositionLength())
                .append(",\"").append(type.type()).append("\"]");
          }
          s.end();
          out.println(row.append("]\t").append(position + inc.getPositionIncrement() + 1).append("\t").append(offset.endOffset()));
        } catch (Exception e) {
          System.err.println(columns[0] + " " + t + ": " + e);
        }
      }
    }
    out.close();
  }
}
