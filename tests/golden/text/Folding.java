/* Writes folding.txt for tables.py: every character that the asciifolding filter changes. */
import java.nio.file.*; import java.util.*; import java.io.*;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
public class Folding {
  public static void main(String[] a) throws Exception {
    PrintStream out = new PrintStream(new FileOutputStream("folding.txt"), false, "UTF-8");
    for (int c = 128; c < 65536; c++) {
      if (c >= 0xD800 && c < 0xE000) continue;
      char[] in = {(char)c}; char[] o = new char[8];
      int n = ASCIIFoldingFilter.foldToASCII(in, 0, o, 0, 1);
      String s = new String(o,0,n);
      if (!s.equals(new String(in))) out.println(c + "\t" + s);
    }
    out.close();
  }
}
