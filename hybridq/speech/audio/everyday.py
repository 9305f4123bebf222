"""Words that synthetic voices say for the class unknown.

None is in Speech Commands, so that its other words stay unheard. The first lines sound a little like its commands.
"""

_WORDS = """
    goat low nose snow note road town dawn out around lift letter last light ride rain step top shop cup but
    under yet guess year cap cut bad bet body music paper table water hello window morning flower animal

    apple banana orange lemon butter bread cheese sugar coffee kitchen garden mountain river ocean island
    forest summer winter autumn spring monday friday sunday january august december doctor teacher student
    farmer driver singer painter soldier captain mother father brother sister uncle baby woman children people
    red green yellow purple silver golden black white brown pink walk run jump swim fly sing dance write speak
    listen laugh cry sleep wake drink eat cook wash clean open close push pull carry throw catch kick build
    break fix big small tall short long wide narrow deep heavy easy hard soft loud quiet quick slow early late
    young old new hot cold warm cool dry wet rich poor chair desk lamp door wall floor roof bottle plate knife
    fork spoon phone radio camera computer engine wheel ticket hammer needle button pocket jacket shirt shoes
    hat ring watch horse cow sheep pig chicken duck mouse lion tiger bear wolf monkey snake fish spider london
    paris berlin canada china india brazil hundred thousand million double half quarter first second third
    alarm timer weather number question answer reason problem story picture minute hour week month zebra quiz
    fox voice choice noise enjoy boil measure vision usual judge church beach edge bridge thing thank then
    this both bath
"""

EVERYDAY_WORDS = tuple(_WORDS.split())
