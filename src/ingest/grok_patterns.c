/* The named patterns of grok. Names and meaning are those that logs have been described with since
 * Logstash; the expressions are our own. One table, sorted by nothing: the first of a name counts.
 */
#include "ingest/grok.h"

const struct vz_grok_pattern vz_grok_patterns[] = {
    /* words and numbers */
    {"USERNAME", "[\\w.-]+"},
    {"USER", "%{USERNAME}"},
    {"INT", "[+-]?\\d+"},
    {"BASE10NUM", "(?<![\\d.+-])[+-]?(?:\\d+(?:\\.\\d+)?|\\.\\d+)"},
    {"NUMBER", "%{BASE10NUM}"},
    {"BASE16NUM", "(?<![\\da-fA-F])[+-]?(?:0[xX])?[\\da-fA-F]+"},
    {"BASE16FLOAT", "(?<![\\da-fA-F.])[+-]?(?:0[xX])?(?:[\\da-fA-F]+(?:\\.[\\da-fA-F]*)?|"
                    "\\.[\\da-fA-F]+)"},
    {"POSINT", "\\b[1-9]\\d*\\b"},
    {"NONNEGINT", "\\b\\d+\\b"},
    {"WORD", "\\b\\w+\\b"},
    {"NOTSPACE", "\\S+"},
    {"SPACE", "\\s*"},
    {"DATA", ".*?"},
    {"GREEDYDATA", ".*"},
    {"QUOTEDSTRING", "(?:\"(?:[^\"\\\\]|\\\\.)*\"|'(?:[^'\\\\]|\\\\.)*'|`(?:[^`\\\\]|\\\\.)*`)"},
    {"QS", "%{QUOTEDSTRING}"},
    {"UUID", "[\\da-fA-F]{8}-(?:[\\da-fA-F]{4}-){3}[\\da-fA-F]{12}"},
    {"URN", "urn:[\\dA-Za-z][\\dA-Za-z-]{0,31}:(?:%[\\da-fA-F]{2}|[\\dA-Za-z()+,.:=@;$_!*'/?#-])+"},
    {"BOOL", "true|false"},
    {"EMAILLOCALPART", "[A-Za-z\\d!#$%&'*+/=?^_`{|}~-]{1,64}(?:\\.[A-Za-z\\d!#$%&'*+/=?^_`{|}~-]"
                       "{1,62}){0,63}"},
    {"EMAILADDRESS", "%{EMAILLOCALPART}@%{HOSTNAME}"},
    {"JAVACLASS", "(?:[A-Za-z$_][\\w$]*\\.)*[A-Za-z$_][\\w$]*"},
    {"JAVAFILE", "[\\w$. -]+"},
    {"JAVAMETHOD", "(?:<init>|<clinit>|[A-Za-z$_][\\w$]*)"},
    {"JAVASTACKTRACEPART", "%{SPACE}at %{JAVACLASS:class}\\.%{JAVAMETHOD:method}\\("
                           "%{JAVAFILE:file}(?::%{INT:line})?\\)"},
    {"JAVALOGMESSAGE", ".*"},

    /* networks */
    {"CISCOMAC", "(?:[\\da-fA-F]{4}\\.){2}[\\da-fA-F]{4}"},
    {"WINDOWSMAC", "(?:[\\da-fA-F]{2}-){5}[\\da-fA-F]{2}"},
    {"COMMONMAC", "(?:[\\da-fA-F]{2}:){5}[\\da-fA-F]{2}"},
    {"MAC", "(?:%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC})"},
    {"IPV4", "(?<![\\d])(?:(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)\\.){3}(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)"
             "(?!\\d)"},
    {"IPV6", "(?:(?:[\\da-fA-F]{1,4}:){7}[\\da-fA-F]{1,4}"
             "|(?:[\\da-fA-F]{1,4}:){1,6}(?::[\\da-fA-F]{1,4})"
             "|(?:[\\da-fA-F]{1,4}:){1,5}(?::[\\da-fA-F]{1,4}){2}"
             "|(?:[\\da-fA-F]{1,4}:){1,4}(?::[\\da-fA-F]{1,4}){3}"
             "|(?:[\\da-fA-F]{1,4}:){1,3}(?::[\\da-fA-F]{1,4}){4}"
             "|(?:[\\da-fA-F]{1,4}:){1,2}(?::[\\da-fA-F]{1,4}){5}"
             "|[\\da-fA-F]{1,4}:(?::[\\da-fA-F]{1,4}){6}"
             "|(?:[\\da-fA-F]{1,4}:){1,6}:%{IPV4}|::(?:[fF]{4}:)?%{IPV4}"
             "|:(?::[\\da-fA-F]{1,4}){1,7}|(?:[\\da-fA-F]{1,4}:){1,7}:|::)(?:%[\\dA-Za-z]+)?"},
    {"IP", "(?:%{IPV6}|%{IPV4})"},
    {"HOSTNAME", "\\b[\\dA-Za-z][\\dA-Za-z-]{0,62}(?:\\.[\\dA-Za-z][\\dA-Za-z-]{0,62})*\\.?\\b"},
    {"HOST", "%{HOSTNAME}"},
    {"IPORHOST", "(?:%{IP}|%{HOSTNAME})"},
    {"HOSTPORT", "%{IPORHOST}:%{POSINT}"},

    /* paths and addresses */
    {"UNIXPATH", "(?:/[\\w_%!$@:.,+~-]*)+"},
    {"TTY", "/dev/(?:pts|tty[pq]?)(?:\\w+)?/?\\d+"},
    {"WINPATH", "(?:[A-Za-z]+:|\\\\)(?:\\\\[^\\\\?*]*)+"},
    {"PATH", "(?:%{UNIXPATH}|%{WINPATH})"},
    {"URIPROTO", "[A-Za-z](?:[A-Za-z\\d+.-]+)?"},
    {"URIHOST", "%{IPORHOST}(?::%{POSINT:port})?"},
    {"URIPATH", "(?:/[A-Za-z\\d$.+!*'(){},~:;=@#%&_-]*)+"},
    {"URIQUERY", "[A-Za-z\\d$.+!*'|(){},~@#%&/=:;_?\\[\\]<>-]*"},
    {"URIPARAM", "\\?%{URIQUERY}"},
    {"URIPATHPARAM", "%{URIPATH}(?:\\?%{URIQUERY})?"},
    {"URI", "%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?"},

    /* dates */
    {"MONTH", "\\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|"
              "[Jj]un(?:e)?|[Jj]ul(?:y)?|[Aa]ug(?:ust)?|[Ss]ep(?:tember)?|[Oo]ct(?:ober)?|"
              "[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\\b"},
    {"MONTHNUM", "(?:0?[1-9]|1[0-2])"},
    {"MONTHNUM2", "(?:0[1-9]|1[0-2])"},
    {"MONTHDAY", "(?:0[1-9]|[12]\\d|3[01]|[1-9])"},
    {"DAY", "(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|"
            "Sun(?:day)?)"},
    {"YEAR", "(?:\\d\\d){1,2}"},
    {"HOUR", "(?:2[0123]|[01]?\\d)"},
    {"MINUTE", "[0-5]\\d"},
    {"SECOND", "(?:[0-5]?\\d|60)(?:[:.,]\\d+)?"},
    {"TIME", "(?<!\\d)%{HOUR}:%{MINUTE}(?::%{SECOND})(?!\\d)"},
    {"DATE_US", "%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}"},
    {"DATE_EU", "%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}"},
    {"DATE_X", "%{YEAR}/%{MONTHNUM2}/%{MONTHDAY}"},
    {"ISO8601_TIMEZONE", "(?:Z|[+-]%{HOUR}(?::?%{MINUTE}))"},
    {"ISO8601_SECOND", "%{SECOND}"},
    {"ISO8601_HOUR", "(?:2[0123]|[01]\\d)"},
    {"TIMESTAMP_ISO8601", "%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?"
                          "%{ISO8601_TIMEZONE}?"},
    {"DATE", "(?:%{DATE_US}|%{DATE_EU})"},
    {"DATESTAMP", "%{DATE}[- ]%{TIME}"},
    {"TZ", "(?:[APMCE][SD]T|UTC|GMT|Z)"},
    {"DATESTAMP_RFC822", "%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}"},
    {"DATESTAMP_RFC2822", "%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}"},
    {"DATESTAMP_OTHER", "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}"},
    {"DATESTAMP_EVENTLOG", "%{YEAR}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}"},
    {"HTTPDERROR_DATE", "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{YEAR}"},
    {"HTTPDATE", "%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}"},

    /* syslog */
    {"SYSLOGTIMESTAMP", "%{MONTH} +%{MONTHDAY} %{TIME}"},
    {"PROG", "[\\x21-\\x5a\\x5c\\x5e-\\x7e]+"},
    {"SYSLOGPROG", "%{PROG:program}(?:\\[%{POSINT:pid}\\])?"},
    {"SYSLOGHOST", "%{IPORHOST}"},
    {"SYSLOGFACILITY", "<%{NONNEGINT:facility}\\.%{NONNEGINT:priority}>"},
    {"SYSLOGBASE", "%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:logsource} "
                   "%{SYSLOGPROG}:"},
    {"SYSLOGLINE", "%{SYSLOGBASE} %{GREEDYDATA:message}"},
    {"SYSLOG5424PRI", "<%{NONNEGINT:syslog5424_pri}>"},

    /* web servers */
    {"HTTPDUSER", "(?:%{EMAILADDRESS}|%{USER})"},
    {"COMMONAPACHELOG",
     "%{IPORHOST:clientip} %{HTTPDUSER:ident} %{HTTPDUSER:auth} \\[%{HTTPDATE:timestamp}\\] "
     "\"(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})\" "
     "(?:-|%{NUMBER:response}) (?:-|%{NUMBER:bytes})"},
    {"COMBINEDAPACHELOG", "%{COMMONAPACHELOG} %{QS:referrer} %{QS:agent}"},
    {"HTTPD_COMMONLOG", "%{COMMONAPACHELOG}"},
    {"HTTPD_COMBINEDLOG", "%{COMBINEDAPACHELOG}"},
    {"LOGLEVEL",
     "(?:[Aa]lert|ALERT|[Tt]race|TRACE|[Dd]ebug|DEBUG|[Nn]otice|NOTICE|[Ii]nfo(?:rmation)?|"
     "INFO(?:RMATION)?|[Ww]arn(?:ing)?|WARN(?:ING)?|[Ee]rr(?:or)?|ERR(?:OR)?|[Cc]rit(?:ical)?|"
     "CRIT(?:ICAL)?|[Ff]atal|FATAL|[Ss]evere|SEVERE|EMERG(?:ENCY)?|[Ee]merg(?:ency)?)"},
};
const size_t vz_grok_pattern_count = VZ_COUNT_OF(vz_grok_patterns);

/* The names that Elastic's Common Schema gives to the parts of the same lines. */
const struct vz_grok_pattern vz_grok_patterns_v1[] = {
    {"SYSLOGPROG", "%{PROG:process.name}(?:\\[%{POSINT:process.pid:int}\\])?"},
    {"SYSLOGFACILITY", "<%{NONNEGINT:log.syslog.facility.code:int}\\."
                       "%{NONNEGINT:log.syslog.priority:int}>"},
    {"SYSLOGBASE", "%{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?"
                   "%{SYSLOGHOST:host.hostname} %{SYSLOGPROG}:"},
    {"SYSLOG5424PRI", "<%{NONNEGINT:log.syslog.priority:int}>"},
    {"URIHOST", "%{IPORHOST:url.domain}(?::%{POSINT:url.port:int})?"},
    {"COMMONAPACHELOG",
     "%{IPORHOST:source.address} (?:-|%{HTTPDUSER:apache.access.user.identity}) "
     "(?:-|%{HTTPDUSER:user.name}) \\[%{HTTPDATE:timestamp}\\] "
     "\"(?:%{WORD:http.request.method} %{NOTSPACE:url.original}(?: HTTP/%{NUMBER:http.version})?|"
     "%{DATA})\" (?:-|%{INT:http.response.status_code:int}) "
     "(?:-|%{INT:http.response.body.bytes:int})"},
    {"COMBINEDAPACHELOG", "%{COMMONAPACHELOG} \"(?:-|%{DATA:http.request.referrer})\" "
                          "\"(?:-|%{DATA:user_agent.original})\""},
};
const size_t vz_grok_pattern_v1_count = VZ_COUNT_OF(vz_grok_patterns_v1);
